"""The PyTorch side of `compare`: answers requests, one JSON object a line, from standard input.

It also makes the inputs and holds gradients against each other, since numpy is here.
"""

import functools
import json
import os
import sys
import time

import lightly
import numpy as np
import torch
import torch.nn.functional as F
from lightly.loss import BarlowTwinsLoss, MMCRLoss, NTXentLoss, VICRegLoss
from lightly.loss.lejepa_loss import LeJEPALoss, SIGReg
from PIL import Image
from torchvision import transforms

# The mean singular value


def svdvals(embeddings):
    """As PyTorch users compute it."""
    return torch.linalg.svdvals(embeddings).mean()


def gram_eigvalsh(embeddings):
    """As an expert computes it: by the eigenvalues of the smaller Gram matrix."""
    rows, dims = embeddings.shape
    gram = embeddings @ embeddings.T if rows < dims else embeddings.T @ embeddings
    return torch.linalg.eigvalsh(gram).clamp_min(1e-12).sqrt().mean()


def gram_eigvalsh_f64(embeddings):
    """The same where f32 loses the small ones."""
    return gram_eigvalsh(embeddings.double()).to(embeddings.dtype)


# VICReg, 25/25/1, one process


def official_vicreg(x, y):
    """As the code of its authors computes it."""
    return vicreg(x, y, official_covariance)


def gram_vicreg(x, y):
    """As an expert computes it: without the off-diagonal entries of any matrix, on the smaller side."""
    return vicreg(x, y, gram_covariance)


def vicreg(x, y, covariance):
    invariance = F.mse_loss(x, y)
    x = x - x.mean(dim=0)
    y = y - y.mean(dim=0)
    std_x = torch.sqrt(x.var(dim=0) + 1e-4)
    std_y = torch.sqrt(y.var(dim=0) + 1e-4)
    variance = F.relu(1 - std_x).mean() / 2 + F.relu(1 - std_y).mean() / 2
    return 25 * invariance + 25 * variance + covariance(x) + covariance(y)


def official_covariance(x):
    n, d = x.shape
    return off_diagonal((x.T @ x) / (n - 1)).pow_(2).sum() / d


def gram_covariance(x):
    n, d = x.shape
    product = x @ x.T if n < d else x.T @ x
    variances = x.square().sum(dim=0)
    return (product.square().sum() - variances.square().sum()) / ((n - 1) ** 2 * d)


def off_diagonal(matrix):
    """The entries off the diagonal of a square matrix, as a new vector."""
    d = matrix.shape[0]
    return matrix.flatten()[:-1].view(d - 1, d + 1)[:, 1:].flatten()


# Barlow Twins, lambda = 0.005


def official_barlow_twins(x, y):
    """As the code of its authors computes it, batch normalization written out."""
    x, y = standardized(x), standardized(y)
    correlation = (x.T @ y) / x.shape[0]
    on_diagonal = (torch.diagonal(correlation) - 1).pow(2).sum()
    return on_diagonal + 5e-3 * off_diagonal(correlation).pow(2).sum()


def gram_barlow_twins(x, y):
    """As an expert computes it, on the smaller side."""
    x, y = standardized(x), standardized(y)
    n, d = x.shape
    diagonal = (x * y).sum(dim=0) / n
    total = ((x @ x.T) * (y @ y.T)).sum() if n < d else (x.T @ y).square().sum()
    off = total / n**2 - diagonal.square().sum()
    return (diagonal - 1).pow(2).sum() + 5e-3 * off


def standardized(x):
    return (x - x.mean(dim=0)) / torch.sqrt(x.var(dim=0, unbiased=False) + 1e-5)


# The newer losses


def covariance_to_identity(x):
    """The Frobenius norm of the covariance less the identity."""
    return torch.linalg.matrix_norm(torch.cov(x.T) - torch.eye(x.shape[1]).to(x))


def mmcr_of_unit_rows(x, y):
    """lightly's loss, which takes the rows as they are, of rows divided by their norm."""
    return MMCRLoss()(*(F.normalize(view, dim=1)[:, None] for view in (x, y)))


def lejepa(x, y):
    """lightly's loss of two global views."""
    views = torch.stack([x, y])
    return LEJEPA(local_proj=views, global_proj=views)


@functools.cache
def slices(dim):
    """The directions that both sides look along."""
    i, j = np.arange(dim, dtype=np.float64)[:, None], np.arange(1024, dtype=np.float64)
    entries = np.cos(1 + 3 * i + 7 * j + i * j)
    return torch.from_numpy((entries / np.linalg.norm(entries, axis=0)).astype(np.float32))


# In place of drawn ones.
SIGReg._generate_unit_vectors = lambda _, device, dtype, dim: slices(dim).to(device, dtype)
LEJEPA = LeJEPALoss()

FORMULAS = {
    # What ours is held against, by its own names
    "svmax": svdvals,
    "vicreg": official_vicreg,
    "barlow-twins": official_barlow_twins,
    "covariance-to-identity": covariance_to_identity,
    "nt-xent": NTXentLoss(),
    "mmcr": mmcr_of_unit_rows,
    "sigreg": SIGReg(),
    "lejepa": lejepa,
    # What ours is timed against
    "torch svdvals": svdvals,
    "torch Gram eigvalsh": gram_eigvalsh,
    "torch Gram eigvalsh f64": gram_eigvalsh_f64,
    "official formula": official_vicreg,
    "Gram formula": gram_vicreg,
    "lightly VICRegLoss": VICRegLoss(),
    "official Barlow Twins": official_barlow_twins,
    "Gram Barlow Twins": gram_barlow_twins,
    "lightly BarlowTwinsLoss": BarlowTwinsLoss(),
}

# Batches


def make(kind, shape, generator):
    rows, dims = shape
    rank = min(shape)
    normal = lambda: generator.standard_normal(shape, dtype=np.float32)
    if kind == "normal":
        return normal()
    if kind == "one direction":
        direction = generator.standard_normal(dims, dtype=np.float32)
        direction /= np.linalg.norm(direction)
        return direction + np.float32(1e-3) * normal()
    spectrum = {
        "decay 1/i": 1 / np.arange(1, rank + 1),
        "decay to 1e-4": np.logspace(0, -4, rank),
    }[kind]
    left, _ = np.linalg.qr(generator.standard_normal((rows, rank)))
    right, _ = np.linalg.qr(generator.standard_normal((dims, rank)))
    return (left * spectrum @ right.T).astype(np.float32)


class TrainingStep:
    """The network of the Rust side with its weights, on its views."""

    def __init__(self, views, weights, device, channels_last):
        layout = torch.channels_last if channels_last else torch.contiguous_format
        load = lambda path: torch.from_numpy(np.load(path)).to(device)
        self.views = [load(path).contiguous(memory_format=layout) for path in views]
        self.weights = [load(path) for path in weights]
        self.weights = [
            w.contiguous(memory_format=layout) if w.dim() == 4 else w for w in self.weights
        ]
        self.weights = [w.requires_grad_() for w in self.weights]
        self.statistics = {}

    def norm(self, x, weight, bias):
        """Batch normalization with running statistics, as in a training."""
        key = id(weight)
        if key not in self.statistics:
            n = weight.shape[0]
            self.statistics[key] = (
                torch.zeros(n, device=x.device, dtype=x.dtype),
                torch.ones(n, device=x.device, dtype=x.dtype),
            )
        mean, var = self.statistics[key]
        return F.batch_norm(x, mean, var, weight, bias, training=True)

    def embed(self, x):
        weights = iter(self.weights)
        for stride in [2, 2, 2, 1]:
            x = F.conv2d(x, next(weights), stride=stride, padding=1)
            x = F.relu(self.norm(x, next(weights), next(weights)))
        x = x.mean(dim=(2, 3))
        for _ in range(2):
            x = x @ next(weights) + next(weights)
            x = F.relu(self.norm(x, next(weights), next(weights)))
        return x @ next(weights)

    def double(self):
        self.views = [view.double() for view in self.views]
        self.weights = [w.detach().double().requires_grad_() for w in self.weights]
        self.statistics = {}

    def __call__(self):
        return gram_vicreg(*[self.embed(view) for view in self.views])


class Peer:
    """The loaded inputs, and what can be asked about them."""

    def __init__(self, device):
        self.device = torch.device(device)
        self.inputs = []
        self.steps = {}

    def hello(self):
        on_gpu = self.device.type == "cuda"
        return {
            "torch": torch.__version__,
            "lightly": lightly.__version__,
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
        }

    def make(self, kind, shape, paths, seed):
        """A second view is 0.8 times the first and 0.6 times another of the same kind."""
        generator = np.random.default_rng(seed)
        first = make(kind, shape, generator)
        np.save(paths[0], first)
        if len(paths) > 1:
            other = make(kind, shape, generator)
            np.save(paths[1], np.float32(0.8) * first + np.float32(0.6) * other)
        return {}

    def cut(self, source, shape, path):
        """The first rows of a file."""
        rows, dims = shape
        np.save(path, np.load(source)[:rows, :dims].astype(np.float32))
        return {}

    def load(self, inputs):
        self.inputs = [torch.from_numpy(np.load(path)).to(self.device) for path in inputs]
        self.inputs = [tensor.requires_grad_() for tensor in self.inputs]
        return {}

    def load_step(self, views, weights):
        self.steps = {
            name: TrainingStep(views, weights, self.device, channels_last)
            for name, channels_last in [("PyTorch", False), ("PyTorch, channels last", True)]
        }
        pixels = (np.load(views[0]) * 255).round().astype(np.uint8)[:, 0]
        self.images = [Image.fromarray(image) for image in pixels]
        return {}

    def run(self, loss, repeat, discard=0):
        """Milliseconds of `repeat` times forward and backward, after `discard` untimed ones."""
        if loss == "torchvision":
            times = [self.timed(self.make_views) for _ in range(discard + repeat)]
        else:
            times = [self.step(loss) for _ in range(discard + repeat)]
        return {"ms": times[discard:]}

    def step(self, loss):
        formula, leaves = self.formula(loss)
        for tensor in leaves:
            tensor.grad = None
        return self.timed(lambda: formula().backward())

    def formula(self, name):
        """What computes the value, and the leaves that it depends on."""
        if name in self.steps:
            return self.steps[name], self.steps[name].weights
        return lambda: FORMULAS[name](*self.inputs), self.inputs

    def timed(self, work):
        self.synchronize()
        start = time.perf_counter()
        work()
        self.synchronize()
        return (time.perf_counter() - start) * 1e3

    def make_views(self):
        """Two views of each image, one image after the other, as the users of PyTorch make them."""
        side = self.images[0].height
        view = transforms.Compose(
            [
                transforms.RandomResizedCrop(side, scale=(0.5, 1.0)),
                transforms.RandomHorizontalFlip(),
                transforms.ColorJitter(0.4, 0.4),
                transforms.RandomApply([transforms.GaussianBlur(3, sigma=(0.1, 2.0))], p=0.1),
                transforms.ToTensor(),
            ]
        )
        return [torch.stack([view(i) for i in self.images]).to(self.device) for _ in range(2)]

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def check(self, loss, value, gradients, peers=()):
        """Another side's value and gradients, and those of the peers in f32, against the formula computed in f64."""
        peers = {name: self.evaluated(name) for name in peers}
        exact = self.evaluated_in_f64("PyTorch" if loss == "training step" else loss)
        ours = np.concatenate([np.load(path).ravel() for path in gradients]).astype(np.float64)
        found = {name: deviation(peer, exact) for name, peer in peers.items()}
        return {"ours": deviation((value, ours), exact), "peers": found}

    def evaluated(self, name):
        """Value and gradients, all in one vector of f64."""
        formula, leaves = self.formula(name)
        for tensor in leaves:
            tensor.grad = None
        value = formula()
        value.backward()
        parts = [tensor.grad.contiguous().cpu().numpy().ravel() for tensor in leaves]
        return value.item(), np.concatenate(parts).astype(np.float64)

    def evaluated_in_f64(self, name):
        """Of a training step for good: it is not timed any more."""
        if name in self.steps:
            self.steps[name].double()
            return self.evaluated(name)
        single = self.inputs
        self.inputs = [tensor.detach().double().requires_grad_() for tensor in single]
        found = self.evaluated(name)
        self.inputs = single
        return found


def deviation(found, exact):
    (value, gradient), (exact_value, exact_gradient) = found, exact
    return {
        "value_rel_err": abs(value - exact_value) / abs(exact_value),
        "grad_cosine": cosine(gradient, exact_gradient),
    }


def cosine(a, b):
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))


def main():
    # Whatever a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(int(os.environ["COMPARE_THREADS"]))
    peer = Peer(os.environ["COMPARE_PEER_DEVICE"])
    for line in sys.stdin:
        request = json.loads(line)
        answer = getattr(peer, request.pop("op").replace(" ", "_"))(**request)
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
