//! Workers that are threads of one process.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::TensorData;

use super::{Gathered, Group, GroupError};

/// Workers that are threads of one process, each with a clone: one a device, as Burn's multi-device training has them.
///
/// A clone does not know which worker it is with, and need not: what the workers bring is put into an order by its
/// content, so that a training has the same numbers whichever thread comes first.
///
/// # A worker that ends before the others
///
/// The others wait for it up to the [timeout](Self::with_timeout); then they, and all that come later, get an error.
/// One that [watches](Self::watch) its step is missed at once when it panics.
///
/// ```
/// use std::sync::Arc;
/// use std::thread;
///
/// use burn::tensor::{Device, Tensor};
/// use fullrank::shards::{Sharded, ThreadGroup};
/// use fullrank::{Regularizer, VarianceConfig};
///
/// let variance = Sharded::new(VarianceConfig::new().init(), Arc::new(ThreadGroup::new(2)));
/// let device = Device::default().autodiff();
/// let shards = [[[0.0, 1.0], [2.0, 3.0]], [[1.0, 0.0], [5.0, 1.0]]];
/// let values = thread::scope(|scope| {
///     let workers = shards.map(|shard| {
///         let shard = Tensor::<2>::from_floats(shard, &device).require_grad();
///         let variance = &variance;
///         scope.spawn(move || variance.forward(shard).into_scalar::<f32>())
///     });
///     workers.map(|worker| worker.join().unwrap())
/// });
/// // Each has the loss of all four rows.
/// assert_eq!(values[0], values[1]);
/// ```
#[derive(Clone, Debug)]
pub struct ThreadGroup {
    size: usize,
    timeout: Duration,
    meeting: Arc<Meeting>,
}

#[derive(Debug, Default)]
struct Meeting {
    state: Mutex<State>,
    changed: Condvar,
}

/// One exchange at a time: first all come, then all go.
#[derive(Debug, Default)]
struct State {
    /// What those bring who have come.
    brought: Vec<Vec<TensorData>>,
    /// What they take when all have come.
    taken: Option<Taken>,
    /// How many have gone with it.
    gone: usize,
    /// Why there will be no other exchange.
    ended: Option<GroupError>,
}

#[derive(Debug)]
struct Taken {
    /// In an order that depends on what is in them alone.
    lists: Arc<Vec<Vec<TensorData>>>,
    /// For each worker, in the order in which they came, where its list is.
    places: Vec<usize>,
}

impl ThreadGroup {
    /// A group of so many workers, with a timeout of a minute.
    ///
    /// # Panics
    ///
    /// If there are none.
    pub fn new(size: usize) -> Self {
        assert!(size > 0, "a group needs at least one worker, got none");
        Self {
            size,
            timeout: Duration::from_secs(60),
            meeting: Arc::default(),
        }
    }

    /// With this timeout: as long a worker waits for the others.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Until what this returns is dropped, a panic of this thread ends the group: the others need not wait for the
    /// timeout. For the beginning of a training step.
    #[must_use]
    pub fn watch(&self) -> Watch {
        Watch {
            group: self.clone(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        let state = self.meeting.state.lock();
        // No thread panics while it holds the lock.
        state.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `ready`, at most until `deadline`.
    fn wait<'a>(
        &self,
        mut state: MutexGuard<'a, State>,
        deadline: Instant,
        ready: impl Fn(&State) -> bool,
    ) -> Result<MutexGuard<'a, State>, GroupError> {
        while !ready(&state) {
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let error = GroupError::TimedOut {
                    present: state.brought.len(),
                    size: self.size,
                    waited: self.timeout,
                };
                return Err(self.end(state, error));
            }
            let waited = self.meeting.changed.wait_timeout(state, left);
            (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        }
        Ok(state)
    }

    fn end(&self, mut state: MutexGuard<'_, State>, error: GroupError) -> GroupError {
        let error = state.ended.get_or_insert(error).clone();
        self.meeting.changed.notify_all();
        error
    }
}

impl Group for ThreadGroup {
    fn size(&self) -> usize {
        self.size
    }

    fn all_gather(&self, own: Vec<TensorData>) -> Result<Gathered, GroupError> {
        let deadline = Instant::now() + self.timeout;
        // Not before all have gone from the exchange before.
        let mut state = self.wait(self.state(), deadline, |state| state.taken.is_none())?;
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        let place = state.brought.len();
        state.brought.push(own);
        if state.brought.len() == self.size {
            let brought = std::mem::take(&mut state.brought);
            state.taken = Some(in_order(brought));
            self.meeting.changed.notify_all();
        }
        let mut state = self.wait(state, deadline, |state| state.taken.is_some())?;
        let taken = state.taken.as_ref().expect("all have come");
        let (lists, own) = (taken.lists.clone(), taken.places[place]);
        state.gone += 1;
        if state.gone == self.size {
            state.gone = 0;
            state.taken = None;
            self.meeting.changed.notify_all();
        }
        drop(state);
        let lists = Arc::unwrap_or_clone(lists);
        Ok(Gathered { lists, own })
    }
}

fn in_order(brought: Vec<Vec<TensorData>>) -> Taken {
    let mut sorted: Vec<(usize, Vec<TensorData>)> = brought.into_iter().enumerate().collect();
    sorted.sort_by(|(_, a), (_, b)| {
        a.iter()
            .map(|data| &data.bytes()[..])
            .cmp(b.iter().map(|data| &data.bytes()[..]))
    });
    let mut places = vec![0; sorted.len()];
    for (place, (came, _)) in sorted.iter().enumerate() {
        places[*came] = place;
    }
    Taken {
        lists: Arc::new(sorted.into_iter().map(|(_, list)| list).collect()),
        places,
    }
}

/// Ends the [group](ThreadGroup::watch) if it is dropped by a panic.
#[derive(Debug)]
pub struct Watch {
    group: ThreadGroup,
}

impl Drop for Watch {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let state = self.group.state();
            let error = GroupError::Left {
                present: self.group.size - 1,
                size: self.group.size,
            };
            self.group.end(state, error);
        }
    }
}
