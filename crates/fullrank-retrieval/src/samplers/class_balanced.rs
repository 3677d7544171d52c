//! Batches of P classes with K images each.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use burn::config::Config;
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::{Dataset, DatasetError};
use burn::tensor::Device;
use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

/// Configuration of [`ClassBalancedSampler`].
#[derive(Config, Debug, PartialEq)]
pub struct ClassBalancedSamplerConfig {
    /// The classes P of a batch.
    pub classes_per_batch: usize,
    /// The images K of each class in a batch.
    pub images_per_class: usize,
    /// The batches of an epoch; if not set, as many as hold as many images as there are, and at least as
    /// many as show every class. Default: `None`
    pub batches: Option<usize>,
    /// The seed. Default: `0`
    #[config(default = 0)]
    pub seed: u64,
}

impl ClassBalancedSamplerConfig {
    /// A sampler of the images with these labels.
    ///
    /// # Panics
    ///
    /// If a number of the configuration is zero, or the labels have fewer classes than a batch.
    pub fn init<L: Copy + Ord>(&self, labels: &[L]) -> ClassBalancedSampler {
        let (classes, images) = (self.classes_per_batch, self.images_per_class);
        assert!(
            classes > 0 && images > 0,
            "a batch must have classes and images, got {classes} x {images}"
        );
        assert_ne!(
            self.batches,
            Some(0),
            "an epoch must have at least one batch, got 0"
        );
        let mut members: BTreeMap<L, Vec<usize>> = BTreeMap::new();
        for (index, &label) in labels.iter().enumerate() {
            members.entry(label).or_default().push(index);
        }
        let members: Vec<Vec<usize>> = members.into_values().collect();
        assert!(
            members.len() >= classes,
            "a batch of {classes} classes cannot be filled from {}",
            members.len()
        );
        let enough = labels.len().div_ceil(classes * images);
        let every_class = members.len().div_ceil(classes);
        ClassBalancedSampler {
            classes_per_batch: classes,
            images_per_class: images,
            batches: self.batches.unwrap_or(enough.max(every_class)),
            seed: self.seed,
            drawn: Arc::new(Mutex::new(Drawn::nothing(&members))),
            members,
        }
    }
}

/// Draws batches of P different classes with K images each, as ranking losses want them.
///
/// Within an epoch every class comes up once before one comes up again, and every image of a class
/// once before one of them comes up again, but that a batch has no class twice. The images go on where
/// the last epoch ended, and an epoch begins with the classes that came up least in those before: in time
/// every image is shown. An image comes up twice in a batch only where its class has fewer than K, and then
/// no oftener than it must. What an epoch shows depends on the seed and its number, on nothing else.
///
/// ```
/// use fullrank_retrieval::ClassBalancedSamplerConfig;
///
/// let labels = [0, 0, 0, 1, 1, 1, 2, 2, 3, 3];
/// let sampler = ClassBalancedSamplerConfig::new(2, 2).with_seed(1).init(&labels);
/// let epoch = sampler.epoch(1);
/// assert_eq!(epoch.len(), 3); // ten images, four at a time
/// assert_eq!(epoch[0].len(), 4);
/// ```
#[derive(Clone, Debug)]
pub struct ClassBalancedSampler {
    classes_per_batch: usize,
    images_per_class: usize,
    batches: usize,
    seed: u64,
    /// The images of each class.
    members: Vec<Vec<usize>>,
    /// Kept so that an epoch need not draw all those before it again.
    drawn: Arc<Mutex<Drawn>>,
}

impl ClassBalancedSampler {
    /// Images of a batch: P times K.
    pub fn batch_size(&self) -> usize {
        self.classes_per_batch * self.images_per_class
    }

    /// Batches of an epoch.
    pub fn num_batches(&self) -> usize {
        self.batches
    }

    /// The batches of an epoch, counted from 1, each of P * K indices, class by class.
    ///
    /// The epoch asked for last is kept and the one after it drawn at once; any other one after those
    /// before it.
    ///
    /// # Panics
    ///
    /// If the epoch is 0.
    pub fn epoch(&self, epoch: usize) -> Vec<Vec<usize>> {
        assert!(epoch > 0, "epochs count from 1, got 0");
        let mut drawn = self.drawn.lock().expect("no draw panics");
        if drawn.epochs > epoch {
            *drawn = Drawn::nothing(&self.members);
        }
        while drawn.epochs < epoch {
            drawn.last = self.draw(&mut drawn);
        }
        drawn.last.clone()
    }

    /// The batches of the next epoch.
    fn draw(&self, drawn: &mut Drawn) -> Vec<Vec<usize>> {
        drawn.epochs += 1;
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(drawn.epochs as u64);
        let mut classes = Deck::new((0..self.members.len()).collect());
        classes.shuffle(&mut rng);
        classes.cards.sort_by_key(|&class| drawn.times[class]);
        (0..self.batches)
            .map(|_| {
                let chosen = classes.draw(self.classes_per_batch, &mut rng);
                chosen
                    .into_iter()
                    .flat_map(|class| {
                        drawn.times[class] += 1;
                        drawn.images[class].draw(self.images_per_class, &mut rng)
                    })
                    .collect()
            })
            .collect()
    }
}

/// What some epochs, from the first, have drawn.
#[derive(Clone, Debug)]
struct Drawn {
    epochs: usize,
    /// The batches of the last of them.
    last: Vec<Vec<usize>>,
    /// How often each class came up.
    times: Vec<usize>,
    /// The images of each class.
    images: Vec<Deck>,
}

impl Drawn {
    fn nothing(members: &[Vec<usize>]) -> Self {
        Self {
            epochs: 0,
            last: Vec::new(),
            times: vec![0; members.len()],
            images: members.iter().cloned().map(Deck::new).collect(),
        }
    }
}

/// Cards that are drawn without replacement and shuffled anew when none is left.
#[derive(Clone, Debug)]
struct Deck {
    cards: Vec<usize>,
    /// Drawn since the last shuffle.
    drawn: usize,
}

impl Deck {
    fn new(cards: Vec<usize>) -> Self {
        let drawn = cards.len();
        Self { cards, drawn }
    }

    fn shuffle(&mut self, rng: &mut ChaCha8Rng) {
        self.cards.shuffle(rng);
        self.drawn = 0;
    }

    /// Draws `count` cards, all different if there are as many, else each as often as another, give or
    /// take one.
    fn draw(&mut self, count: usize, rng: &mut ChaCha8Rng) -> Vec<usize> {
        let mut hand: Vec<usize> = Vec::with_capacity(count);
        while hand.len() < count {
            if self.drawn == self.cards.len() {
                self.shuffle(rng);
            }
            // After a shuffle in the middle of a hand: what the hand has least of comes first.
            let held = |i: &usize| hand.iter().filter(|&&card| card == self.cards[*i]).count();
            let mut left = self.drawn..self.cards.len();
            let next = left.clone().find(|i| held(i) == 0);
            let next = next.or_else(|| left.by_ref().min_by_key(held));
            self.cards.swap(self.drawn, next.expect("a card is left"));
            hand.push(self.cards[self.drawn]);
            self.drawn += 1;
        }
        hand
    }
}

/// The items of a dataset in the order of one epoch of a [`ClassBalancedSampler`].
///
/// Served in order by batches of [`batch_size`](ClassBalancedSampler::batch_size), without shuffling,
/// they are the sampler's batches. [`ClassBalancedLoader`] serves epoch after epoch.
pub struct ClassBalancedDataset<I> {
    dataset: Arc<dyn Dataset<I>>,
    order: Vec<usize>,
}

impl<I> ClassBalancedDataset<I> {
    /// One epoch of `dataset`, of whose labels the sampler was made.
    pub fn new(dataset: Arc<dyn Dataset<I>>, sampler: &ClassBalancedSampler, epoch: usize) -> Self {
        Self {
            dataset,
            order: sampler.epoch(epoch).concat(),
        }
    }
}

impl<I: Send + Sync> Dataset<I> for ClassBalancedDataset<I> {
    fn get(&self, index: usize) -> Result<I, DatasetError> {
        self.dataset.get(self.order[index])
    }

    fn len(&self) -> usize {
        self.order.len()
    }
}

/// Makes a batch that depends on when it is shown, as one of augmented images does.
pub trait StepBatcher<I, O>: Send + Sync {
    /// The batch of `items`, the `step`-th that a loader serves over all its epochs, counted from 0.
    fn batch(&self, items: Vec<I>, step: usize, device: &Device) -> O;
}

/// A [`Batcher`] that takes no notice of the step.
struct AnyStep<I, O>(Arc<dyn Batcher<I, O>>);

impl<I, O> StepBatcher<I, O> for AnyStep<I, O> {
    fn batch(&self, items: Vec<I>, _step: usize, device: &Device) -> O {
        self.0.batch(items, device)
    }
}

/// A Burn data loader of class-balanced batches, epoch after epoch.
///
/// Each call of `iter` serves the next epoch, from epoch 1. Copies made by
/// [`to_device`](DataLoader::to_device) share the count of epochs with the original; each
/// [`slice`](DataLoader::slice) counts for itself and serves the whole batches that begin in it.
pub struct ClassBalancedLoader<I, O> {
    dataset: Arc<dyn Dataset<I>>,
    batcher: Arc<dyn StepBatcher<I, O>>,
    sampler: ClassBalancedSampler,
    device: Device,
    batches: Range<usize>,
    next: Arc<AtomicUsize>,
}

impl<I, O> Clone for ClassBalancedLoader<I, O> {
    fn clone(&self) -> Self {
        Self {
            dataset: self.dataset.clone(),
            batcher: self.batcher.clone(),
            sampler: self.sampler.clone(),
            device: self.device.clone(),
            batches: self.batches.clone(),
            next: self.next.clone(),
        }
    }
}

impl<I, O> ClassBalancedLoader<I, O> {
    /// A loader of `dataset`, of whose labels the sampler was made.
    pub fn new(
        dataset: Arc<dyn Dataset<I>>,
        batcher: Arc<dyn Batcher<I, O>>,
        sampler: ClassBalancedSampler,
        device: &Device,
    ) -> Self
    where
        I: 'static,
        O: 'static,
    {
        Self::by_step(dataset, Arc::new(AnyStep(batcher)), sampler, device)
    }

    /// A loader whose batches depend on the step in which they are shown.
    pub fn by_step(
        dataset: Arc<dyn Dataset<I>>,
        batcher: Arc<dyn StepBatcher<I, O>>,
        sampler: ClassBalancedSampler,
        device: &Device,
    ) -> Self {
        Self {
            dataset,
            batcher,
            device: device.clone(),
            batches: 0..sampler.num_batches(),
            sampler,
            next: Arc::new(AtomicUsize::new(1)),
        }
    }

    /// Sets the epoch that the next call of `iter` serves; for a run resumed from the checkpoint of
    /// epoch `k` that is `k + 1`. Default: `1`.
    ///
    /// # Panics
    ///
    /// If the epoch is 0.
    #[must_use]
    pub fn starting_at(mut self, epoch: usize) -> Self {
        assert!(epoch > 0, "epochs count from 1, got 0");
        self.next = Arc::new(AtomicUsize::new(epoch));
        self
    }
}

impl<I, O> DataLoader<O> for ClassBalancedLoader<I, O>
where
    I: Send + Sync + 'static,
    O: Send + 'static,
{
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        let epoch = self.next.fetch_add(1, Ordering::SeqCst);
        let mut batches = self.sampler.epoch(epoch);
        batches.truncate(self.batches.end);
        batches.drain(..self.batches.start);
        let before = (epoch - 1) * self.sampler.num_batches();
        Box::new(ClassBalancedIterator {
            loader: self,
            batches,
            first_step: before + self.batches.start,
            served: 0,
        })
    }

    fn num_items(&self) -> usize {
        self.batches.len() * self.sampler.batch_size()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        let size = self.sampler.batch_size();
        let first = self.batches.start;
        let epoch = self.next.load(Ordering::SeqCst);
        let mut slice = self.clone().starting_at(epoch);
        slice.batches = first + start.div_ceil(size)..first + end.div_ceil(size);
        Arc::new(slice)
    }
}

/// One epoch of a [`ClassBalancedLoader`].
struct ClassBalancedIterator<'a, I, O> {
    loader: &'a ClassBalancedLoader<I, O>,
    batches: Vec<Vec<usize>>,
    first_step: usize,
    served: usize,
}

impl<I, O> Iterator for ClassBalancedIterator<'_, I, O>
where
    I: Send + Sync + 'static,
{
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let indices = self.batches.get(self.served)?;
        let step = self.first_step + self.served;
        self.served += 1;
        let items = self.loader.dataset.get_many(indices.clone());
        let (batcher, device) = (&self.loader.batcher, &self.loader.device);
        Some(items.map(|items| batcher.batch(items, step, device)))
    }
}

impl<I, O> DataLoaderIterator<O> for ClassBalancedIterator<'_, I, O>
where
    I: Send + Sync + 'static,
{
    fn progress(&self) -> Progress {
        let size = self.loader.sampler.batch_size();
        Progress::new(
            self.served * size,
            self.batches.len() * size,
            Some("items".to_string()),
        )
    }
}
