"""Mean time of a training step of the built-in job's CNN with PyTorch's DistributedDataParallel over gloo, batch 32 on
each of two hosts, Adam, on random images. Usage: slow-link-ddp.py RANK MASTER_ADDRESS OWN_ADDRESS STEPS; rank 0 prints
the seconds of a step."""

import ipaddress
import os
import subprocess
import sys
import time

import torch
import torch.distributed as dist
from torch import nn

rank, master, own, steps = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
ipaddress.ip_address(own)
# gloo takes the name of an interface, not an address.
for line in subprocess.check_output(["ip", "-o", "-4", "address"], text=True).splitlines():
    if own + "/" in line:
        os.environ["GLOO_SOCKET_IFNAME"] = line.split()[1]
os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = master, "50061"
torch.set_num_threads(1)
torch.manual_seed(0)
dist.init_process_group("gloo", rank=rank, world_size=2)
model = nn.parallel.DistributedDataParallel(
    nn.Sequential(
        nn.Conv2d(3, 32, 3),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 15 * 15, 512),
        nn.ReLU(),
        nn.Linear(512, 10),
    ),
    gradient_as_bucket_view=True,
)
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
images, labels = torch.randn(32, 3, 32, 32), torch.randint(0, 10, (32,))


def step():
    optimizer.zero_grad(set_to_none=False)
    nn.functional.cross_entropy(model(images), labels).backward()
    optimizer.step()


for _ in range(2):
    step()
dist.barrier()
begun = time.perf_counter()
for _ in range(steps):
    step()
dist.barrier()
if rank == 0:
    print((time.perf_counter() - begun) / steps)
dist.destroy_process_group()
