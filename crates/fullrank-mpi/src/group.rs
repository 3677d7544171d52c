//! The processes of an `mpirun` as a group of workers.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Mutex, PoisonError};

use burn::tensor::{DType, Element, TensorData};
use fullrank::shards::{Gathered, Group, GroupError};
use mpi::collective::SystemOperation;
use mpi::datatype::PartitionMut;
use mpi::topology::SimpleCommunicator;
use mpi::traits::{Communicator, CommunicatorCollectives, Equivalence};

use crate::message;
use crate::rounds::rounds;

/// The processes of an `mpirun` (`MPI_COMM_WORLD`), as one of them sees it. A [`World`](crate::World) has it.
///
/// Calls of several threads wait for each other; as in every group, all processes must make the same calls in the same
/// order. What each is about to do is exchanged first, so that a process that does something else, or has finished,
/// is an error for all of them and not a call that never returns.
#[derive(Debug)]
pub struct MpiGroup {
    size: usize,
    rank: usize,
    /// Whether MPI can be called: one thread at a time, and not after it is finalized.
    open: Mutex<bool>,
}

/// What a process is about to do.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
enum Call {
    Gather,
    Sum,
    Finish,
}

/// The bytes of one `MPI_Allgatherv`: MPI counts in 32 bits.
const BYTES: usize = 1 << 30;

/// The entries of one `MPI_Allreduce`.
const ENTRIES: usize = 1 << 28;

impl MpiGroup {
    pub(crate) fn new() -> Self {
        let world = SimpleCommunicator::world();
        let number = |number: i32| usize::try_from(number).expect("MPI counts from zero");
        Self {
            size: number(world.size()),
            rank: number(world.rank()),
            open: Mutex::new(true),
        }
    }

    /// Which of the processes this is, from 0.
    pub fn rank(&self) -> usize {
        self.rank
    }

    /// Tells the others that this process makes no more calls, and waits until they say so too.
    ///
    /// # Errors
    ///
    /// [`GroupError::Left`] if one of them makes another call.
    pub(crate) fn finish(&self) -> Result<(), GroupError> {
        self.with(|world| {
            self.announce(world, Call::Finish, 0)?;
            Ok(())
        })?;
        *self.open.lock().unwrap_or_else(PoisonError::into_inner) = false;
        Ok(())
    }

    /// Runs `calls` as the only thread that calls MPI.
    fn with<T>(
        &self,
        calls: impl FnOnce(&SimpleCommunicator) -> Result<T, GroupError>,
    ) -> Result<T, GroupError> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match *open {
            true => calls(&SimpleCommunicator::world()),
            false => Err(GroupError::Transport("MPI is finalized".to_owned())),
        }
    }

    /// Exchanges what each process is about to do, with a number; the numbers.
    fn announce(
        &self,
        world: &SimpleCommunicator,
        call: Call,
        number: u64,
    ) -> Result<Vec<u64>, GroupError> {
        let mut all = vec![0_u64; 2 * self.size];
        world.all_gather_into(&[call as u64, number][..], &mut all[..]);
        let (calls, numbers): (Vec<u64>, Vec<u64>) = all.chunks(2).map(|c| (c[0], c[1])).unzip();
        if calls.iter().all(|&other| other == call as u64) {
            return Ok(numbers);
        }
        let finished = calls.iter().filter(|&&other| other == Call::Finish as u64);
        Err(match finished.count() {
            0 => GroupError::Mismatch,
            finished => GroupError::Left {
                present: self.size - finished,
                size: self.size,
            },
        })
    }
}

impl Group for MpiGroup {
    fn size(&self) -> usize {
        self.size
    }

    /// In the order of the ranks.
    fn all_gather(&self, own: Vec<TensorData>) -> Result<Gathered, GroupError> {
        let own = message::encode(&own);
        let messages = self.with(|world| {
            let lengths = self.announce(world, Call::Gather, own.len() as u64)?;
            let lengths: Vec<usize> = lengths.into_iter().map(|length| length as usize).collect();
            let mut messages: Vec<Vec<u8>> = lengths
                .iter()
                .map(|&length| Vec::with_capacity(length))
                .collect();
            for parts in rounds(&lengths, BYTES) {
                let counts: Vec<i32> = parts.iter().map(|part| part.len() as i32).collect();
                let starts: Vec<i32> = counts
                    .iter()
                    .scan(0, |end, count| {
                        *end += count;
                        Some(*end - count)
                    })
                    .collect();
                let mut received = vec![0_u8; parts.iter().map(|part| part.len()).sum()];
                let mut places = PartitionMut::new(&mut received[..], counts, starts);
                world.all_gather_varcount_into(&own[parts[self.rank].clone()], &mut places);
                let mut rest = received.as_slice();
                for (message, part) in messages.iter_mut().zip(parts) {
                    let (piece, behind) = rest.split_at(part.len());
                    message.extend_from_slice(piece);
                    rest = behind;
                }
            }
            Ok(messages)
        })?;
        let lists = messages.iter().map(|message| message::decode(message));
        Ok(Gathered {
            lists: lists.collect::<Result<_, _>>()?,
            own: self.rank,
        })
    }

    /// By `MPI_Allreduce`. That every rank has the same bits is what Open MPI's algorithms do, each of which this crate's
    /// tests run; the MPI standard recommends it of every library.
    fn all_sum(&self, own: Vec<TensorData>) -> Result<Vec<TensorData>, GroupError> {
        let mut hasher = DefaultHasher::new();
        message::header(&own).hash(&mut hasher);
        let hash = hasher.finish();
        self.with(|world| {
            let hashes = self.announce(world, Call::Sum, hash)?;
            if hashes.iter().any(|&other| other != hash) {
                return Err(GroupError::Mismatch);
            }
            let sum = |data: &TensorData| match data.dtype() {
                DType::F32 => Ok(sum::<f32>(world, data)),
                DType::F64 => Ok(sum::<f64>(world, data)),
                _ => Err(GroupError::Mismatch),
            };
            own.iter().map(sum).collect()
        })
    }
}

/// The sum over all processes; each has as many entries.
fn sum<T: Element + Equivalence>(world: &SimpleCommunicator, own: &TensorData) -> TensorData {
    let mut total = own.clone();
    let (from, to) = (own.as_slice::<T>(), total.as_mut_slice::<T>());
    let (from, to) = (from.expect("of this type"), to.expect("of this type"));
    for (from, to) in from.chunks(ENTRIES).zip(to.chunks_mut(ENTRIES)) {
        world.all_reduce_into(from, to, SystemOperation::sum());
    }
    total
}
