//! Stopping a run so that it can be taken up again.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::train::Interrupter;
use burn::train::logger::TrainingProgressLogger;
use signal_hook::consts::SIGINT;
use signal_hook::flag;

use super::SessionError;

/// A request to stop, made by Ctrl-C or by [`Stop::request`]. Clones share the request.
#[derive(Clone, Debug, Default)]
pub struct Stop {
    requested: Arc<AtomicBool>,
    after_epoch: Option<usize>,
}

impl Stop {
    /// Never stops by itself.
    pub fn new() -> Self {
        Self::default()
    }

    /// Stops at Ctrl-C; a second one ends the process on the spot.
    ///
    /// # Errors
    ///
    /// If the operating system does not let the process listen.
    pub fn on_ctrl_c() -> Result<Self, SessionError> {
        let stop = Self::new();
        // The order matters: the first signal finds the flag still down, then raises it.
        flag::register_conditional_shutdown(SIGINT, 130, stop.requested.clone())
            .and_then(|_| flag::register(SIGINT, stop.requested.clone()))
            .map_err(|source| SessionError::Signal { source })?;
        Ok(stop)
    }

    /// Stops when a training has finished this epoch, before its checkpoint is written.
    #[must_use]
    pub fn after_epoch(mut self, epoch: usize) -> Self {
        self.after_epoch = Some(epoch);
        self
    }

    /// Asks the run to stop.
    pub fn request(&self) {
        self.requested.store(true, Ordering::SeqCst);
    }

    /// Whether the run should stop.
    pub fn requested(&self) -> bool {
        self.requested.load(Ordering::SeqCst)
    }

    /// Hands the request on to a training that is under way.
    pub(crate) fn watch(&self, interrupter: Interrupter) -> impl TrainingProgressLogger + 'static {
        Watch {
            stop: self.clone(),
            interrupter,
        }
    }
}

/// Looks at the request at every step of a training.
struct Watch {
    stop: Stop,
    interrupter: Interrupter,
}

impl Watch {
    fn look(&self) {
        if self.stop.requested() {
            self.interrupter.stop(Some("stopped by the user"));
        }
    }
}

impl TrainingProgressLogger for Watch {
    fn start(
        &mut self,
        _total_epochs: usize,
        _starting_epoch: usize,
        _total_items: Option<usize>,
        _label: Option<&str>,
    ) {
        self.look();
    }

    fn update_epoch(&mut self, epoch: usize) {
        if self.stop.after_epoch == Some(epoch) {
            self.stop.request();
        }
        self.look();
    }

    fn start_split(&mut self, _split: &str, _total_items: usize) {}

    fn update_split(&mut self, _items_processed: usize) {
        self.look();
    }

    fn end_split(&mut self) {}

    fn end(&mut self) {}

    fn log_event_training(&mut self, _event: String) {}
}
