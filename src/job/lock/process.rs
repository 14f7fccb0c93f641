//! Who a process is, so that another one on the same machine can tell whether it is still there. A process id alone
//! does not say: ids are used again, and mean something else on another machine and in another container.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _};

use serde::{Deserialize, Serialize};

/// A process, told from all others of its machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    /// The boot of the machine and the space in which its process ids count; empty where that is not known.
    machine: String,
    pid: u32,
    /// When it started, in ticks since the boot.
    started: u64,
}

impl Process {
    /// This process.
    pub(super) fn current() -> Process {
        let pid = std::process::id();
        let machine = machine().unwrap_or_default();
        Process { machine, pid, started: stat(pid).map_or(0, |(_, started)| started) }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it was a process of this machine and has ended. Of a process elsewhere nothing is known.
    pub(super) fn is_gone(&self) -> bool {
        if self.machine.is_empty() || machine().as_ref() != Some(&self.machine) {
            return false;
        }
        // one that has ended and that nobody has asked for its end runs no more
        stat(self.pid).is_none_or(|(state, started)| started != self.started || matches!(state, 'Z' | 'X'))
    }
}

/// The name of this host, for messages.
pub(super) fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").ok().or_else(|| std::env::var("HOSTNAME").ok());
    name.map_or_else(|| "an unknown host".to_owned(), |name| name.trim().to_owned())
}

/// A name that no other process has: two numbers that the operating system made up.
pub(in crate::job) fn unique() -> String {
    let number = || RandomState::new().build_hasher().finish();
    format!("{:016x}{:016x}", number(), number())
}

fn machine() -> Option<String> {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let space = fs::read_link("/proc/self/ns/pid").ok()?;
    Some(format!("{} {}", boot.trim(), space.display()))
}

/// State and start of a process, if it is there.
fn stat(pid: u32) -> Option<(char, u64)> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // the name before may hold anything, also brackets and spaces
    let (_, rest) = text.rsplit_once(')')?;
    let mut fields = rest.split_whitespace();
    let state = fields.next()?.chars().next()?;
    // the 22nd field of all, the 19th behind the state
    Some((state, fields.nth(18)?.parse().ok()?))
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_process_is_there_until_it_has_ended() {
        let me = Process::current();
        assert!(!me.is_gone() && me.started > 0);
        assert!(Process { started: me.started + 1, ..me.clone() }.is_gone(), "another one with the same id");
        let elsewhere = Process { machine: "another boot".into(), pid: u32::MAX, started: 1 };
        assert!(!elsewhere.is_gone(), "nothing is known of it");
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let started = stat(child.id()).unwrap().1;
        let process = Process { pid: child.id(), started, ..me };
        assert!(!process.is_gone());
        child.kill().unwrap();
        // until it is waited for it is there and runs no more
        while !process.is_gone() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(process.is_gone());
    }

    #[test]
    fn names_are_unique() {
        assert_ne!(unique(), unique());
    }
}
