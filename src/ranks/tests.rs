//! Ranks as threads of one process, each with a group of its own.

use super::*;
use std::net::TcpListener;
use tch::{Device, Kind};

/// Runs `f` on `world` ranks and gives what each returned.
pub(crate) fn on_ranks<T: Send>(world: usize, f: impl Fn(Ranks) -> T + Sync) -> Vec<T> {
    on_ranks_in_buckets(world, None, f)
}

/// As [`on_ranks`], with gradient buckets of a size.
pub(crate) fn on_ranks_in_buckets<T: Send>(
    world: usize,
    bucket_bytes: Option<usize>,
    f: impl Fn(Ranks) -> T + Sync,
) -> Vec<T> {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    thread::scope(|scope| {
        let info = |rank| RankInfo {
            rank,
            world,
            host: "127.0.0.1".to_owned(),
            port,
            agent_serves: false,
            attempt: 0,
            timeout: Duration::from_secs(60),
            bucket_bytes,
        };
        let start = |rank| {
            let (info, f) = (info(rank), &f);
            scope.spawn(move || f(Ranks::meet(Some(&info)).unwrap()))
        };
        let ranks: Vec<_> = (0..world).map(start).collect();
        ranks.into_iter().map(|rank| rank.join().unwrap()).collect()
    })
}

#[test]
fn ranks_add_up_and_share() {
    let found = on_ranks(3, |ranks| {
        let sums = ranks.sums([1.0, ranks.rank() as f64]).unwrap();
        let text = ranks.text_of_first(if ranks.is_first() { "from the first, ä" } else { "x" }).unwrap();
        let tensor = (Tensor::arange(6, (Kind::Float, Device::Cpu)) + ranks.rank() as f64).reshape([2, 3]).tr();
        ranks.copy_from_first([&tensor]).unwrap();
        (sums, text, tensor == Tensor::arange(6, (Kind::Float, Device::Cpu)).reshape([2, 3]).tr())
    });
    assert_eq!(found, vec![([3.0, 3.0], "from the first, ä".to_owned(), true); 3]);
}

#[test]
fn a_rank_that_fails_is_named_with_its_reason() {
    let found = on_ranks(2, |ranks| {
        if !ranks.is_first() {
            ranks.report("the disk is full");
            return String::new();
        }
        ranks.sums([1.0]).unwrap_err().to_string()
    });
    assert!(found[0].starts_with("rank 1 failed: the disk is full; the same command resumes"), "{}", found[0]);
}

/// As it fails within a forward or backward pass, where libtorch alone sees the error.
#[test]
fn a_rank_lost_in_a_pass_is_named() {
    let found = on_ranks(2, |ranks| {
        assert!(ranks.lost_in_pass(&TorchError("of another kind".to_owned())).is_none());
        if !ranks.is_first() {
            return String::new();
        }
        let error = ranks.processes().unwrap().sum(&Tensor::from_slice(&[1.0])).unwrap_err();
        ranks.lost_in_pass(&error).unwrap().to_string()
    });
    assert!(found[0].starts_with("rank 1 ended or does not answer"), "{}", found[0]);
}

#[test]
fn the_only_rank_needs_nobody() {
    let ranks = Ranks::meet(None).unwrap();
    assert_eq!((ranks.rank(), ranks.world(), ranks.is_first()), (0, 1, true));
    assert_eq!(ranks.sums([2.0]).unwrap(), [2.0]);
    assert_eq!(ranks.text_of_first("own").unwrap(), "own");
}

#[test]
fn a_port_in_use_is_named() {
    let held = TcpListener::bind("0.0.0.0:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let host = "127.0.0.1".to_owned();
    let info = RankInfo {
        rank: 0,
        world: 2,
        host,
        port,
        agent_serves: false,
        attempt: 0,
        timeout: Duration::from_secs(5),
        bucket_bytes: None,
    };
    let error = Ranks::meet(Some(&info)).unwrap_err().to_string();
    assert!(error.contains(&format!("port {port} is in use")), "{error}");
}
