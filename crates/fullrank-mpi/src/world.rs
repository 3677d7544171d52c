//! MPI from its start to its end.

use std::fmt;
use std::io::Write;
use std::sync::Arc;

use fullrank::shards::{Group, GroupError};
use mpi::Threading;
use mpi::environment::Universe;
use mpi::topology::SimpleCommunicator;
use mpi::traits::Communicator;

use crate::group::MpiGroup;

/// MPI, from `MPI_Init` to `MPI_Finalize`: a process has it once, in the thread that starts it.
///
/// One that is dropped without [`finish`](Self::finish), by an error or a panic, aborts every process of the `mpirun`:
/// the others would wait for this one without end.
pub struct World {
    group: Arc<MpiGroup>,
    /// `None` when it is finalized.
    universe: Option<Universe>,
}

impl World {
    /// Starts MPI. A process that no `mpirun` has started is a world of one.
    ///
    /// # Errors
    ///
    /// [`GroupError::Transport`] if MPI was started before in this process, or cannot be called by several threads, one
    /// at a time.
    pub fn join() -> Result<Self, GroupError> {
        // Losses may be called on a thread of the framework.
        let needed = Threading::Serialized;
        let Some((universe, threading)) = mpi::initialize_with_threading(needed) else {
            let problem = "MPI has been started before in this process";
            return Err(GroupError::Transport(problem.to_owned()));
        };
        let world = Self {
            group: Arc::new(MpiGroup::new()),
            universe: Some(universe),
        };
        match threading >= needed {
            true => Ok(world),
            false => Err(GroupError::Transport(
                "this MPI library cannot be called by several threads".to_owned(),
            )),
        }
    }

    /// The processes.
    pub fn group(&self) -> Arc<MpiGroup> {
        self.group.clone()
    }

    /// Waits until every process is here, and ends MPI. After that the [`group`](Self::group) makes errors only.
    ///
    /// # Errors
    ///
    /// [`GroupError::Left`] if another process still exchanges something. All are aborted then.
    pub fn finish(mut self) -> Result<(), GroupError> {
        self.group.finish()?;
        // It finalizes MPI.
        self.universe = None;
        Ok(())
    }
}

impl fmt::Debug for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("World").field(&self.group).finish()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        if self.universe.is_none() {
            return;
        }
        let (rank, size) = (self.group.rank(), self.group.size());
        // An abort flushes nothing.
        let _ = std::io::stdout().flush();
        if size > 1 {
            // Nobody is left to tell if standard error has gone.
            let _ = writeln!(
                std::io::stderr(),
                "rank {rank} of {size} ends before the work is done: all end"
            );
        }
        SimpleCommunicator::world().abort(1)
    }
}
