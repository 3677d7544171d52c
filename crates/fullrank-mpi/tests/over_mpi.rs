//! The group over MPI, with MPI: each test is this program, started by `mpirun` with some processes.
//!
//! It needs `mpirun` of Open MPI. Run by `.ci/mpi`.

use std::env;
use std::fmt::Write as _;
use std::process::{Command, ExitCode, Output, Stdio, exit};
use std::time::{Duration, Instant};

use burn::tensor::TensorData;
use fullrank::shards::{Group, GroupError};
use fullrank_mpi::{MpiGroup, World};

/// A test: its name, how many processes it has, what each does, and how it has to end.
struct Test {
    name: &'static str,
    processes: usize,
    worker: fn(&World),
    end: End,
}

enum End {
    /// All processes do what they should.
    Success,
    /// All end within seconds, and standard error has this text.
    Failure(&'static str),
}

/// How long the processes of a test that fails may take to end: they would wait for minutes if nobody ended them.
const SECONDS: u64 = 20;

const TESTS: [Test; 11] = [
    Test {
        name: "every_rank_has_the_lists_of_all",
        processes: 4,
        worker: every_rank_has_the_lists_of_all,
        end: End::Success,
    },
    Test {
        name: "sums_have_the_same_bits_on_four_ranks",
        processes: 4,
        worker: sums_have_the_same_bits_on_every_rank,
        end: End::Success,
    },
    Test {
        name: "sums_have_the_same_bits_on_three_ranks",
        processes: 3,
        worker: sums_have_the_same_bits_on_every_rank,
        end: End::Success,
    },
    Test {
        name: "a_mismatch_is_an_error_on_every_rank",
        processes: 4,
        worker: a_mismatch_is_an_error_on_every_rank,
        end: End::Success,
    },
    Test {
        name: "one_process_is_a_group",
        processes: 1,
        worker: one_process_is_a_group,
        end: End::Success,
    },
    Test {
        name: "calls_of_other_threads_are_answered",
        processes: 2,
        worker: calls_of_other_threads_are_answered,
        end: End::Success,
    },
    Test {
        name: "who_waits_for_a_rank_that_has_finished_gets_an_error",
        processes: 4,
        worker: who_waits_for_a_rank_that_has_finished_gets_an_error,
        end: End::Failure("of 4 workers that share a batch, 3 are left"),
    },
    Test {
        name: "a_panic_ends_all",
        processes: 4,
        worker: |world| rank_two(world, || panic!("a panic on purpose")),
        end: End::Failure("rank 2 of 4 ends before the work is done"),
    },
    Test {
        name: "a_killed_rank_ends_all",
        processes: 4,
        worker: |world| rank_two(world, || std::process::abort()),
        end: End::Failure("signal 6"),
    },
    Test {
        name: "an_exit_with_an_error_ends_all",
        processes: 4,
        worker: |world| rank_two(world, || exit(3)),
        end: End::Failure("mpirun"),
    },
    Test {
        name: "an_exit_without_an_error_ends_all",
        processes: 4,
        worker: |world| rank_two(world, || exit(0)),
        end: End::Failure("mpirun"),
    },
];

fn every_rank_has_the_lists_of_all(world: &World) {
    let group = world.group();
    // Rank 1 has no rows, and rank 3 brings nothing at all.
    let list = |rank: usize| match rank {
        3 => Vec::new(),
        rank => {
            let rows = [2, 0, 5][rank];
            let entries = (0..3 * rows).map(|i| (i + 100 * rank) as f64 / 7.0);
            let double: Vec<f64> = entries.collect();
            let single: Vec<f32> = double.iter().map(|&entry| entry as f32).collect();
            vec![
                TensorData::new(double, [rows, 3]),
                TensorData::new(single, [rows * 3]),
                TensorData::from([rank as i64, -1]),
            ]
        }
    };
    for _ in 0..100 {
        let gathered = group.all_gather(list(group.rank())).unwrap();
        assert_eq!(gathered.own, group.rank());
        let expected: Vec<Vec<TensorData>> = (0..4).map(list).collect();
        assert_eq!(gathered.lists, expected);
    }
    let gathered = group.all_gather(Vec::new()).unwrap();
    assert_eq!(gathered.lists, vec![Vec::<TensorData>::new(); 4]);
    // Megabytes, which MPI sends in another way.
    let long = |rank: usize| {
        let rows = rank + 1;
        vec![TensorData::new(
            vec![rank as f32; 500_000 * rows],
            [rows, 500_000],
        )]
    };
    let gathered = group.all_gather(long(group.rank())).unwrap();
    let expected: Vec<Vec<TensorData>> = (0..4).map(long).collect();
    assert!(gathered.lists == expected);
}

/// Numbers of every size, whose sum depends on the order.
fn numbers(rank: usize, count: usize) -> impl Iterator<Item = f64> {
    (0..count).map(move |i| {
        let x = ((1 + i * 7 + rank * 131) as f64 * 0.618_033_988_75).fract() - 0.5;
        x * 10_f64.powi((i * 5 + rank * 3) as i32 % 9 - 4)
    })
}

fn sums_have_the_same_bits_on_every_rank(world: &World) {
    let group = world.group();
    // From what is sent at once to what is sent in pieces, and nothing.
    for count in [1, 7, 1000, 300_000, 0] {
        let own = |rank| -> Vec<TensorData> {
            let single: Vec<f32> = numbers(rank, count).map(|x| x as f32).collect();
            let double: Vec<f64> = numbers(rank, count).collect();
            vec![
                TensorData::new(single, [count]),
                TensorData::new(double, [1, count]),
            ]
        };
        let sum = group.all_sum(own(group.rank())).unwrap();
        let lists: Vec<Vec<TensorData>> = (0..group.size()).map(own).collect();
        let precisions = [f64::from(f32::EPSILON), f64::EPSILON];
        for (place, precision) in precisions.into_iter().enumerate() {
            assert_eq!(sum[place].shape(), lists[0][place].shape());
            assert_eq!(sum[place].dtype(), lists[0][place].dtype());
            let entries: Vec<Vec<f64>> = lists
                .iter()
                .map(|list| list[place].iter().collect())
                .collect();
            for (i, sum) in sum[place].iter::<f64>().enumerate() {
                let expected: f64 = entries.iter().map(|entries| entries[i]).sum();
                let size: f64 = entries.iter().map(|entries| entries[i].abs()).sum();
                let error = (sum - expected).abs();
                assert!(error <= 4.0 * precision * size, "{sum} {expected}");
            }
        }
        let gathered = group.all_gather(sum).unwrap();
        let bytes = |list: &Vec<TensorData>| -> Vec<Vec<u8>> {
            list.iter().map(|data| data.as_bytes().to_vec()).collect()
        };
        let first = bytes(&gathered.lists[0]);
        let same = gathered.lists.iter().all(|list| bytes(list) == first);
        assert!(same, "{count} entries");
    }
    assert!(group.all_sum(Vec::new()).unwrap().is_empty());
}

fn a_mismatch_is_an_error_on_every_rank(world: &World) {
    let group = world.group();
    let odd = group.rank() == 2;
    let sum = |own: Vec<TensorData>| group.all_sum(own);
    let mismatch = Err(GroupError::Mismatch);
    let three = TensorData::from([1.0_f32, 2.0, 3.0]);
    // Another length, shape, type, count, none, and a type that is not summed.
    let others = [
        vec![TensorData::from([1.0_f32, 2.0])],
        vec![TensorData::from([[1.0_f32, 2.0, 3.0]])],
        vec![TensorData::from([1.0_f64, 2.0, 3.0])],
        vec![three.clone(), three.clone()],
        Vec::new(),
        vec![TensorData::from([1_i32, 2, 3])],
    ];
    for other in others {
        let own = if odd { other } else { vec![three.clone()] };
        assert_eq!(sum(own), mismatch);
    }
    assert_eq!(sum(vec![TensorData::from([1_i32])]), mismatch);
    // One gathers and the others sum.
    let result = match odd {
        true => group.all_gather(vec![three.clone()]).map(|_| Vec::new()),
        false => sum(vec![three.clone()]),
    };
    assert_eq!(result, mismatch);
    // After that they can go on.
    let total = sum(vec![three]).unwrap();
    assert_eq!(total, [TensorData::from([4.0_f32, 8.0, 12.0])]);
}

fn one_process_is_a_group(world: &World) {
    let group = world.group();
    assert_eq!((group.size(), group.rank()), (1, 0));
    let own = vec![TensorData::from([1.5_f32, 2.5])];
    assert_eq!(group.all_sum(own.clone()).unwrap(), own);
    assert_eq!(group.all_gather(own.clone()).unwrap().lists, [own]);
    assert!(World::join().is_err(), "MPI is started once");
}

fn calls_of_other_threads_are_answered(world: &World) {
    let sum = |group: &MpiGroup| {
        let own = vec![TensorData::from([1.0_f64])];
        assert_eq!(group.all_sum(own).unwrap(), [TensorData::from([2.0_f64])]);
    };
    // Whichever of the four threads comes first, its call meets one of the other process.
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|_| sum(&world.group())));
        }
    });
}

fn who_waits_for_a_rank_that_has_finished_gets_an_error(world: &World) {
    if world.group().rank() != 2 {
        let error = world.group().all_gather(Vec::new()).unwrap_err();
        let left = GroupError::Left {
            present: 3,
            size: 4,
        };
        assert_eq!(error, left);
        panic!("{error}");
    }
}

/// Rank 2 does this, while the others wait for it.
fn rank_two(world: &World, end: impl FnOnce()) {
    let group = world.group();
    group.all_gather(Vec::new()).unwrap();
    if group.rank() == 2 {
        end();
    }
    let _ = group.all_gather(Vec::new());
    std::thread::sleep(Duration::from_secs(600));
}

/// `mpirun` of so many processes.
fn mpirun(processes: usize) -> Command {
    let mut command = Command::new("mpirun");
    command
        .args(["--oversubscribe", "--bind-to", "none", "-n"])
        .arg(processes.to_string());
    // In a container there may be no other user.
    command.env("OMPI_ALLOW_RUN_AS_ROOT", "1");
    command.env("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
    command.stdin(Stdio::null());
    command
}

/// Runs a test, with these parameters of Open MPI.
fn run(test: &Test, parameters: &[(&str, String)]) -> Result<(), String> {
    let mut command = mpirun(test.processes);
    for (name, value) in parameters {
        command.args(["--mca", name, value]);
    }
    let program = env::current_exe().map_err(|error| error.to_string())?;
    command.arg(program).args(["--worker", test.name]);
    let start = Instant::now();
    let output = command.output();
    let Output { status, stderr, .. } = output.map_err(|error| format!("mpirun: {error}"))?;
    let error = String::from_utf8_lossy(&stderr);
    let seconds = start.elapsed().as_secs();
    let told = |problem: &str| Err(format!("{problem} ({status}, {seconds} s)\n{error}"));
    match test.end {
        End::Success if !status.success() => told("a rank failed"),
        End::Failure(_) if status.success() => told("nothing failed"),
        End::Failure(_) if seconds > SECONDS => told("it took too long to end"),
        End::Failure(text) if !error.contains(text) => told(&format!("no {text:?}")),
        _ => Ok(()),
    }
}

/// For sums every algorithm of Open MPI, by its number, beside Open MPI's own choice.
fn parameters(test: &Test) -> Vec<Vec<(&'static str, String)>> {
    let mut all = vec![Vec::new()];
    if test.name.starts_with("sums_") {
        all.extend((1..=6).map(|algorithm: usize| {
            vec![
                ("coll_tuned_use_dynamic_rules", "1".to_owned()),
                ("coll_tuned_allreduce_algorithm", algorithm.to_string()),
            ]
        }));
    }
    all
}

/// The example: with the loss of all rows four processes end in the weights of one, and without it they do not.
fn four_processes_train_as_one() -> Result<(), String> {
    let test = env::current_exe().map_err(|error| error.to_string())?;
    let folder = test.parent().and_then(|deps| deps.parent());
    let program = folder
        .expect("target/PROFILE/deps")
        .join("examples/distributed");
    let output = mpirun(4).arg(program).output();
    let output = output.map_err(|error| format!("mpirun: {error}"))?;
    let told = String::from_utf8_lossy(&output.stdout);
    let figures: Vec<f64> = told
        .lines()
        .filter_map(|line| line.rsplit(' ').next()?.parse().ok())
        .collect();
    match (output.status.success(), figures.as_slice()) {
        (true, [whole, own]) if *whole < 1e-5 && *own > 1e-3 => Ok(()),
        _ => Err(told.into_owned() + &String::from_utf8_lossy(&output.stderr)),
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().collect();
    if let [_, worker, name] = arguments.as_slice()
        && worker == "--worker"
    {
        let test = TESTS.iter().find(|test| test.name == name);
        let world = World::join().unwrap();
        (test.expect("a test of this name").worker)(&world);
        world.finish().unwrap();
        return ExitCode::SUCCESS;
    }
    let mut failures = String::new();
    let mut tell = |name: &str, result: Result<(), String>| {
        let text = if result.is_ok() { "ok" } else { "FAILED" };
        println!("test {name} ... {text}");
        if let Err(failure) = result {
            let _ = writeln!(failures, "{name}: {failure}");
        }
    };
    for test in &TESTS {
        for parameters in parameters(test) {
            let algorithm = parameters.last();
            let algorithm = algorithm.map(|(name, value)| format!(" ({name} {value})"));
            let name = format!("{}{}", test.name, algorithm.unwrap_or_default());
            tell(&name, run(test, &parameters));
        }
    }
    tell("four_processes_train_as_one", four_processes_train_as_one());
    eprint!("{failures}");
    match failures.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}
