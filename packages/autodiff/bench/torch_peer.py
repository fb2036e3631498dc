"""Times one case of `npm run bench -- train` with PyTorch on one thread; prints JSON."""
import json
import resource
import sys
import time

import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(0)
RUN_S, RUNS, BUDGET_S, BATCHES = 0.4, 7, 20.0, 4


def perceptron(*widths):
    layers = []
    for i in range(len(widths) - 1):
        layers += [nn.Linear(widths[i], widths[i + 1]), nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def lenet():
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10))


class Block(nn.Module):
    def __init__(self, before, after, stride):
        super().__init__()
        self.a = nn.Sequential(nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after))
        self.b = nn.Sequential(nn.Conv2d(after, after, 3, 1, 1, bias=False), nn.BatchNorm2d(after))
        self.skip = nn.Identity() if before == after else nn.Sequential(
            nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after))

    def forward(self, x):
        return torch.relu(self.b(torch.relu(self.a(x))) + self.skip(x))


def resnet18():
    layers = [nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU()]
    before = 64
    for stage, after in enumerate((64, 128, 256, 512)):
        layers += [Block(before, after, 1 if stage == 0 else 2), Block(after, after, 1)]
        before = after
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 10))


class Recurrent(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.fc = nn.LSTM(64, 128, batch_first=True), nn.Linear(128, 1)

    def forward(self, x):
        return self.fc(self.lstm(x)[1][0][0])


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(1000, 128)
        self.positions = nn.Parameter(torch.randn(64, 128) * 0.1)
        layer = nn.TransformerEncoderLayer(128, 4, 512, dropout=0.0, batch_first=True)
        self.layers, self.fc = nn.TransformerEncoder(layer, 4), nn.Linear(128, 10)

    def forward(self, x):
        return self.fc(self.layers(self.embedding(x) + self.positions).mean(1))


ADAM = lambda p: torch.optim.Adam(p, 1e-3)
MOMENTUM = lambda p: torch.optim.SGD(p, 0.01, momentum=0.9)
CASES = {
    'mlp-30-64-32-1-b32': (lambda: perceptron(30, 64, 32, 1), (30,), 32, 1, ADAM),
    'mlp-784-256-10-b64': (lambda: perceptron(784, 256, 10), (784,), 64, 10, ADAM),
    'lenet-28-b32': (lenet, (1, 28, 28), 32, 10, MOMENTUM),
    'resnet18-32-b16': (resnet18, (3, 32, 32), 16, 10, MOMENTUM),
    'lstm-50x16x64-128': (Recurrent, (50, 64), 16, 1, ADAM),
    'transformer-4x128-t64-b16': (Encoder, (64,), 16, 10, ADAM),
}


def main(name):
    if name not in CASES:
        return None
    make, row, batch, outputs, optimizer_of = CASES[name]
    model = make().train()
    optimizer = optimizer_of(model.parameters())
    rows = BATCHES * batch
    tokens = name.startswith('transformer')
    x = torch.randint(0, 1000, (rows, *row)) if tokens else torch.rand(rows, *row) * 2 - 1
    y = (torch.arange(rows) % 2).float()[:, None] if outputs == 1 else torch.arange(rows) % outputs
    loss_of = nn.BCEWithLogitsLoss() if outputs == 1 else nn.CrossEntropyLoss()

    def run(steps):
        orders = [torch.arange(s * batch, (s + 1) * batch) * 7 % rows for s in range(steps)]
        start = time.perf_counter()
        for order in orders:
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model(x[order]), y[order])
            loss.backward()
            optimizer.step()
            loss.item()
        return time.perf_counter() - start

    steps, warm = 1, run(1)
    while warm < RUN_S / 4 and steps < 2000:
        steps = min(2000, steps * 4)
        warm = run(steps)
    each = warm / steps
    count = min(2000, max(1, round(RUN_S / each)))
    runs = max(1, min(RUNS, int(BUDGET_S / (each * count))))
    times = sorted(run(count) / count for _ in range(runs))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024)
    return {'ms': times[len(times) // 2] * 1000, 'peakBytes': peak, 'version': torch.__version__}


print(json.dumps(main(sys.argv[1])))
