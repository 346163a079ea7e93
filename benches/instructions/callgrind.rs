//! Counts the instructions that a program executes in user space.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::PathBuf;
use std::process::{self, Command};

/// Makes libc choose the same copying routines on every processor, and none that copies with one
/// repeated instruction: valgrind would count it again for every byte.
const TUNABLES: &str = "glibc.cpu.hwcaps=-AVX2,-AVX_Fast_Unaligned_Load,-ERMS";

/// One run of a program. Its counts are available after its end.
pub(crate) struct Counting {
    directory: PathBuf,
}

/// Instructions executed by the threads of one run.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) main_thread: u64,
    pub(crate) other_threads: u64,
}

impl Counting {
    pub(crate) fn new() -> Self {
        let name = format!("instructions-{}", process::id());
        let directory = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(&directory).expect("the target directory is writable");
        Self { directory }
    }

    /// A command that runs the program and counts. Its environment is empty, because variables move
    /// the stack and may be meant for the program.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut output = OsString::from("--callgrind-out-file=");
        output.push(self.directory.join("counts"));
        let mut command = Command::new("valgrind");
        command
            .args(["--tool=callgrind", "--separate-threads=yes"])
            .args(["--quiet", "--vgdb=no"])
            .arg(output)
            .arg(program)
            .env_clear()
            .env("GLIBC_TUNABLES", TUNABLES);
        if let Some(path) = env::var_os("PATH") {
            command.env("PATH", path);
        }
        command
    }

    /// Instructions executed by the program, which has ended.
    pub(crate) fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for entry in fs::read_dir(&self.directory).expect("the directory exists") {
            let path = entry.expect("the directory can be listed").path();
            let text = fs::read_to_string(path).expect("counts are text");
            let number = |field| {
                let value = text.lines().find_map(|line| line.strip_prefix(field))?;
                value.trim().parse::<u64>().ok()
            };
            // There is a file without counts beside those of the threads.
            let (Some(thread), Some(count)) = (number("thread:"), number("totals:")) else {
                continue;
            };
            match thread {
                1 => counts.main_thread += count,
                _ => counts.other_threads += count,
            }
        }
        assert!(counts.main_thread > 0, "valgrind has counted something");
        counts
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        // It is in the build directory, where it does no harm.
        let _ = fs::remove_dir_all(&self.directory);
    }
}
