//! The commit of the working directory.

use std::path::Path;
use std::process::Command;

/// A commit, and whether tracked files differ from it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Commit {
    /// Twelve digits; empty outside a repository.
    pub hash: String,
    pub dirty: bool,
}

impl Commit {
    /// The commit that is checked out in `folder`.
    ///
    /// The configuration of a repository can name programs that git runs (`core.fsmonitor`, filters, hooks, remotes). They are
    /// disabled, for the repository may have been downloaded.
    pub(super) fn of(folder: &Path) -> Commit {
        let Some(hash) = git(folder, &[], &["rev-parse", "--short=12", "HEAD"]) else { return Commit::default() };
        let drivers = git(folder, &[], &["config", "--name-only", "--get-regexp", r"^filter\."]).unwrap_or_default();
        let off = |key: &str| format!("{key}={}", if key.ends_with(".required") { "false" } else { "" });
        let filters: Vec<String> = drivers.lines().map(off).collect();
        let status = ["status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"];
        let dirty = git(folder, &filters, &status).is_some_and(|changes| !changes.is_empty());
        Commit { hash, dirty }
    }
}

/// The output of a git command; `None` if it fails.
fn git(folder: &Path, settings: &[String], arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.current_dir(folder).args(["-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null"]);
    command.args(settings.iter().flat_map(|setting| ["-c", setting]));
    command.env("GIT_OPTIONAL_LOCKS", "0").env("GIT_NO_LAZY_FETCH", "1");
    let output = command.args(arguments).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn run(folder: &Path, arguments: &[&str]) {
        let identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"];
        let output = Command::new("git").current_dir(folder).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `git status` ran `core.fsmonitor` and the filters of a repository's own configuration.
    #[test]
    fn programs_that_a_repository_names_are_not_executed() {
        let folder = tempfile::tempdir().unwrap();
        let (repository, executed) = (folder.path().join("repository"), folder.path().join("executed"));
        fs::create_dir(&repository).unwrap();
        assert_eq!(Commit::of(folder.path()), Commit::default(), "no repository");
        run(&repository, &["init", "-q"]);
        fs::write(repository.join("file"), "one").unwrap();
        fs::write(repository.join(".gitattributes"), "file filter=theirs\n").unwrap();
        run(&repository, &["add", "."]);
        run(&repository, &["commit", "-q", "-m", "first"]);
        let commit = Commit::of(&repository);
        assert!(commit.hash.len() == 12 && !commit.dirty, "{commit:?}");

        let program = folder.path().join("program");
        fs::write(&program, format!("#!/bin/sh\ntouch {}\ncat\n", executed.display())).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let program = program.to_str().unwrap();
        let hooks = repository.join("hooks");
        fs::create_dir(&hooks).unwrap();
        fs::copy(program, hooks.join("post-index-change")).unwrap();
        for key in ["core.fsmonitor", "filter.theirs.clean", "filter.theirs.process"] {
            run(&repository, &["config", key, program]);
        }
        run(&repository, &["config", "core.hooksPath", hooks.to_str().unwrap()]);
        run(&repository, &["config", "filter.theirs.required", "true"]);
        fs::write(repository.join("file"), "two").unwrap();
        assert_eq!(Commit::of(&repository), Commit { dirty: true, ..commit });
        assert!(!executed.exists(), "a program of the repository was executed");
    }
}
