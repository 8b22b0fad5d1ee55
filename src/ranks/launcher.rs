//! Reads the environment variables of a launcher: torchrun's, or those of srun and mpirun together with `MASTER_ADDR` and
//! `MASTER_PORT`.

use super::RanksError;
use std::time::Duration;

/// Variables that make a process a rank. They are removed for processes that a rank starts, such as a point of a sweep.
pub const LAUNCHER_VARIABLES: [&str; 4] = ["RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"];

/// The variables for the rank and the number of ranks, for each launcher. Those of Slurm are of a step, because those of a job
/// are set without srun, too.
const LAUNCHERS: [(&str, &str); 3] = [
    ("RANK", "WORLD_SIZE"),
    ("SLURM_PROCID", "SLURM_STEP_NUM_TASKS"),
    ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
];

/// Overrides [`TIMEOUT`], in seconds.
const TIMEOUT_VARIABLE: &str = "STRATA_RANKS_TIMEOUT";
/// The size of gradient buckets in MiB, 0 for none.
const BUCKET_VARIABLE: &str = "STRATA_BUCKET_MIB";
/// How long a rank waits for the others; longer than writing a checkpoint takes.
const TIMEOUT: Duration = Duration::from_secs(300);

/// The rank of this process, and where the ranks meet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RankInfo {
    pub rank: usize,
    pub world: usize,
    /// Where the ranks meet.
    pub host: String,
    pub port: u16,
    /// Whether the launcher serves the store, as torchrun does; otherwise rank 0 does.
    pub agent_serves: bool,
    /// Number of restarts by the launcher with the same store.
    pub attempt: u32,
    pub timeout: Duration,
    /// Bytes of gradients that are added up at once, 0 for all of them; `None` to decide by the size of the network.
    pub bucket_bytes: Option<usize>,
}

/// Reads the rank of this process from the environment; `None` if it is the only one.
///
/// # Errors
/// [`RanksError::Launcher`] for variables that are missing or wrong.
pub fn rank_info() -> Result<Option<RankInfo>, RanksError> {
    read(|name| std::env::var(name).ok())
}

fn read(get: impl Fn(&str) -> Option<String>) -> Result<Option<RankInfo>, RanksError> {
    let wrong = |message: String| Err(RanksError::Launcher(message));
    // srun and mpirun start independent processes as well; only those that are told where to meet belong together.
    let meets = get("MASTER_ADDR").is_some();
    let chosen = LAUNCHERS
        .iter()
        .find(|(rank, world)| (meets || *rank == "RANK") && (get(rank).is_some() || get(world).is_some()));
    let Some(&(rank_name, world_name)) = chosen else { return Ok(None) };
    let number = |name: &str, sets: &str| match get(name).map(|text| (text.trim().parse::<usize>(), text)) {
        Some((Ok(number), _)) => Ok(number),
        Some((Err(_), text)) => Err(RanksError::Launcher(format!("{name}={text} is not a number"))),
        None => Err(RanksError::Launcher(format!("{sets} is set, but {name} is not: a launcher sets both"))),
    };
    let (rank, world) = (number(rank_name, world_name)?, number(world_name, rank_name)?);
    if world == 0 || rank >= world {
        return wrong(format!("{rank_name}={rank} is not below {world_name}={world}"));
    }
    if world == 1 {
        return Ok(None);
    }
    let Some(host) = get("MASTER_ADDR").filter(|host| !host.is_empty()) else {
        return wrong(format!("{world_name}={world}, but MASTER_ADDR, the host of rank 0, is not set"));
    };
    let port = match get("MASTER_PORT").map(|text| (text.trim().parse::<u16>(), text)) {
        Some((Ok(port), _)) if port > 0 => port,
        Some((_, text)) => return wrong(format!("MASTER_PORT={text} is not a port, 1 to 65535")),
        None => return wrong(format!("{world_name}={world}, but MASTER_PORT is not set: any free port on {host}")),
    };
    let timeout = match get(TIMEOUT_VARIABLE).map(|text| (text.parse::<u32>(), text)) {
        None => TIMEOUT,
        Some((Ok(seconds), _)) if seconds > 0 => Duration::from_secs(seconds.into()),
        Some((_, text)) => return wrong(format!("{TIMEOUT_VARIABLE}={text} is not a number of seconds")),
    };
    let bucket_bytes = match get(BUCKET_VARIABLE).map(|text| (text.parse::<u16>(), text)) {
        None => None,
        Some((Ok(mib), _)) => Some(usize::from(mib) << 20),
        Some((_, text)) => return wrong(format!("{BUCKET_VARIABLE}={text} is not a number of MiB, 0 to 65535")),
    };
    let agent_serves = get("TORCHELASTIC_USE_AGENT_STORE").is_some_and(|text| text == "True");
    // Among several agents, each of which counts for itself, every attempt has a store of its own.
    let one_agent = get("GROUP_WORLD_SIZE").is_some_and(|agents| agents == "1");
    let attempt = get("TORCHELASTIC_RESTART_COUNT").filter(|_| one_agent).and_then(|count| count.parse().ok());
    let attempt = attempt.unwrap_or(0);
    Ok(Some(RankInfo { rank, world, host, port, agent_serves, attempt, timeout, bucket_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(variables: &str) -> Result<Option<RankInfo>, RanksError> {
        let found = |name: &str| {
            let mut pairs = variables.split_whitespace().filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| value.to_owned())
        };
        read(found)
    }

    const MEET: &str = "MASTER_ADDR=node1 MASTER_PORT=29500";

    #[test]
    fn launchers_say_who_is_who() {
        let info = |variables: &str| read_from(&format!("{variables} {MEET}")).unwrap().unwrap();
        let torchrun = info("RANK=1 LOCAL_RANK=1 WORLD_SIZE=2 TORCHELASTIC_USE_AGENT_STORE=True");
        assert_eq!((torchrun.rank, torchrun.world, torchrun.port, torchrun.agent_serves), (1, 2, 29500, true));
        assert_eq!((torchrun.host.as_str(), torchrun.timeout), ("node1", TIMEOUT));
        let restarted = "RANK=1 WORLD_SIZE=4 TORCHELASTIC_RESTART_COUNT=3 GROUP_WORLD_SIZE=";
        assert_eq!([1, 2].map(|agents| info(&format!("{restarted}{agents}")).attempt), [3, 0]);
        let srun = info("SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4 SLURM_NTASKS=8");
        assert_eq!((srun.rank, srun.world, srun.agent_serves), (3, 4, false));
        let mpirun = info("OMPI_COMM_WORLD_RANK=0 OMPI_COMM_WORLD_SIZE=2 STRATA_RANKS_TIMEOUT=7");
        assert_eq!((mpirun.rank, mpirun.world, mpirun.timeout.as_secs()), (0, 2, 7));
        let buckets = ["", "STRATA_BUCKET_MIB=0", "STRATA_BUCKET_MIB=25"];
        let bytes = buckets.map(|variable| info(&format!("RANK=0 WORLD_SIZE=2 {variable}")).bucket_bytes);
        assert_eq!(bytes, [None, Some(0), Some(25 << 20)]);
    }

    #[test]
    fn a_process_on_its_own_is_no_rank() {
        for alone in [
            "",
            MEET,
            "RANK=0 WORLD_SIZE=1",
            // Independent processes started by srun or mpirun, such as those of a sweep, and a batch script.
            "SLURM_PROCID=3 SLURM_STEP_NUM_TASKS=4",
            "OMPI_COMM_WORLD_RANK=1 OMPI_COMM_WORLD_SIZE=2",
            "SLURM_NTASKS=4 MASTER_ADDR=node1",
        ] {
            assert_eq!(read_from(alone).unwrap(), None, "{alone}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (variables, part) in [
            ("RANK=1", "RANK is set, but WORLD_SIZE is not"),
            ("WORLD_SIZE=2", "WORLD_SIZE is set, but RANK is not"),
            ("RANK=2 WORLD_SIZE=2", "RANK=2 is not below WORLD_SIZE=2"),
            ("RANK=0 WORLD_SIZE=0", "RANK=0 is not below WORLD_SIZE=0"),
            ("RANK=first WORLD_SIZE=2", "RANK=first is not a number"),
            ("RANK=0 WORLD_SIZE=-2", "WORLD_SIZE=-2 is not a number"),
            ("RANK=0 WORLD_SIZE=2", "MASTER_ADDR"),
            ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=node1", "MASTER_PORT is not set"),
            ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=node1 MASTER_PORT=0", "MASTER_PORT=0 is not a port"),
            ("RANK=0 WORLD_SIZE=2 MASTER_ADDR=node1 MASTER_PORT=99999", "1 to 65535"),
            (&format!("RANK=0 WORLD_SIZE=2 {MEET} STRATA_RANKS_TIMEOUT=0"), "number of seconds"),
            (&format!("RANK=0 WORLD_SIZE=2 {MEET} STRATA_BUCKET_MIB=-1"), "number of MiB"),
        ] {
            let error = read_from(variables).unwrap_err();
            assert!(error.to_string().contains(part) && matches!(error, RanksError::Launcher(_)), "{error}");
        }
    }
}
