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
from lightly.loss import MMCRLoss, NTXentLoss, VICRegLoss
from lightly.loss.lejepa_loss import LeJEPALoss, SIGReg


def svdvals(embeddings):
    """The mean singular value, as PyTorch users compute it."""
    return torch.linalg.svdvals(embeddings).mean()


def official_vicreg(x, y):
    """VICReg as the code of its authors computes it: 25/25/1, one process."""
    n, d = x.shape
    invariance = F.mse_loss(x, y)
    x = x - x.mean(dim=0)
    y = y - y.mean(dim=0)
    std_x = torch.sqrt(x.var(dim=0) + 1e-4)
    std_y = torch.sqrt(y.var(dim=0) + 1e-4)
    variance = F.relu(1 - std_x).mean() / 2 + F.relu(1 - std_y).mean() / 2
    cov_x = (x.T @ x) / (n - 1)
    cov_y = (y.T @ y) / (n - 1)
    covariance = off_diagonal(cov_x).pow_(2).sum() / d + off_diagonal(cov_y).pow_(2).sum() / d
    return 25 * invariance + 25 * variance + covariance


def off_diagonal(matrix):
    """The entries off the diagonal of a square matrix, as a new vector."""
    d = matrix.shape[0]
    return matrix.flatten()[:-1].view(d - 1, d + 1)[:, 1:].flatten()


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
    "torch svdvals": svdvals,
    "official formula": official_vicreg,
    "lightly VICRegLoss": VICRegLoss(),
    "torch cov": covariance_to_identity,
    "lightly NTXentLoss": NTXentLoss(),
    "lightly MMCRLoss": mmcr_of_unit_rows,
    "lightly SIGReg": SIGReg(),
    "lightly LeJEPALoss": lejepa,
}


class Peer:
    """The loaded inputs, and what can be asked about them."""

    def __init__(self, device):
        self.device = torch.device(device)
        self.inputs = []

    def hello(self):
        on_gpu = self.device.type == "cuda"
        return {
            "torch": torch.__version__,
            "lightly": lightly.__version__,
            "threads": torch.get_num_threads(),
            "device": torch.cuda.get_device_name(self.device) if on_gpu else "cpu",
        }

    def make(self, shape, paths, seed):
        """Standard normal rows; a second view has correlation 0.8 with the first."""
        generator = np.random.default_rng(seed)
        first = generator.standard_normal(shape, dtype=np.float32)
        np.save(paths[0], first)
        if len(paths) > 1:
            noise = generator.standard_normal(shape, dtype=np.float32)
            np.save(paths[1], np.float32(0.8) * first + np.float32(0.6) * noise)
        return {}

    def load(self, inputs):
        self.inputs = [torch.from_numpy(np.load(path)).to(self.device) for path in inputs]
        self.inputs = [tensor.requires_grad_() for tensor in self.inputs]
        return {}

    def run(self, loss, repeat, discard=0):
        """Milliseconds of `repeat` times forward and backward, after `discard` untimed ones."""
        formula = FORMULAS[loss]
        times = [self.step(formula) for _ in range(discard + repeat)]
        return {"ms": times[discard:]}

    def step(self, formula):
        for tensor in self.inputs:
            tensor.grad = None
        self.synchronize()
        start = time.perf_counter()
        formula(*self.inputs).backward()
        self.synchronize()
        return (time.perf_counter() - start) * 1e3

    def synchronize(self):
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def check(self, loss, value, gradients):
        """Another side's value and gradients against the formula computed in f64."""
        exact = [tensor.detach().double().requires_grad_() for tensor in self.inputs]
        reference = FORMULAS[loss](*exact)
        reference.backward()
        reference = reference.item()
        theirs = np.concatenate([np.load(path).ravel() for path in gradients]).astype(np.float64)
        ours = np.concatenate([tensor.grad.cpu().numpy().ravel() for tensor in exact])
        cosine = theirs @ ours / (np.linalg.norm(theirs) * np.linalg.norm(ours))
        return {
            "value_rel_err": abs(value - reference) / abs(reference),
            "grad_cosine": float(cosine),
        }


def main():
    # Whatever a library prints must not mix with the answers.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    torch.set_num_threads(int(os.environ["COMPARE_THREADS"]))
    peer = Peer(os.environ["COMPARE_PEER_DEVICE"])
    operations = {
        "hello": peer.hello,
        "make": peer.make,
        "load": peer.load,
        "run": peer.run,
        "check": peer.check,
    }
    for line in sys.stdin:
        request = json.loads(line)
        answer = operations[request.pop("op")](**request)
        print(json.dumps(answer), file=answers)


if __name__ == "__main__":
    main()
