use rustix::process::Signal;

use crate::support::Program;

const HALF: [&str; 3] = ["--inspect", "--fault", "status=503@50%"];

/// The statuses of some requests one after another.
fn statuses(program: &Program) -> Vec<u16> {
    let mut client = program.connect();
    let status = || client.get("/").expect_response().status;
    std::iter::repeat_with(status).take(20).collect()
}

#[test]
fn seed_repeats_a_run() {
    let run = |seed| {
        let seed = ["--fault-seed", seed];
        let program = Program::spawn(&[&HALF[..], &seed].concat());
        let statuses = statuses(&program);
        program.signal(Signal::TERM);
        program.expect_exit(0);
        statuses
    };
    let first = run("7");
    assert!(first.contains(&200) && first.contains(&503), "{first:?}");
    assert_eq!(run("7"), first);
    assert_ne!(run("8"), first);
}

#[test]
fn random_seed_is_logged() {
    let mut program = Program::start(&[&HALF[..], &["--listen", "127.0.0.1:0"]].concat(), &[]);
    let line = program.expect_line("faults: status=503@50%; --fault-seed ");
    program.expect_listening();
    let first = statuses(&program);
    program.signal(Signal::TERM);
    program.expect_exit(0);
    let (_, seed) = line.split_once("--fault-seed ").expect("the seed is named");
    let (seed, _) = seed.split_once(' ').expect("words follow it");
    let program = Program::spawn(&[&HALF[..], &["--fault-seed", seed]].concat());
    assert_eq!(statuses(&program), first);
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn request_without_response_delays_no_shutdown() {
    let arguments = ["--inspect", "--allow-faults", "--drain-timeout", "1h"];
    let program = Program::spawn(&arguments);
    let mut client = program.connect();
    client.get("/?fault=never");
    // Its turn is over.
    program.connect().get_and_close("/").expect_status(200);
    program.signal(Signal::TERM);
    client.expect_closed();
    program.expect_exit(0);
}

#[test]
fn faults_are_off_unless_allowed() {
    let program = Program::spawn(&["--inspect"]);
    let response = program
        .connect()
        .get_and_close("/?fault=reset")
        .expect_status(200);
    assert_eq!(response.header("fault"), Some("off"));
    program.signal(Signal::TERM);
    program.expect_exit(0);
}

#[test]
fn allowed_faults_on_all_interfaces_are_a_warning() {
    let arguments = ["--inspect", "--allow-faults", "--listen", "*:0"];
    let mut program = Program::start(&arguments, &[]);
    program.expect_line("--allow-faults: every client that reaches ");
    program.expect_listening();
    program.signal(Signal::TERM);
    program.expect_exit(0);
}
