"""The cards that the model speaks about: what their makers specify, and what an architecture's core does in a clock.

Nothing here is measured by us. Units: GB/s are 10^9 bytes, MHz the boost clock, MB the last-level cache. Each line's
`source` says where its figures, which are the maker's, were looked up; rates that follow
from others (TFLOP/s) are computed, never listed.
"""
from typing import NamedTuple


class Architecture(NamedTuple):
    """What one core (SM, CU, Xe core) does per clock."""
    compilers: str         # the table in bench/compilers that speaks for it
    loops: str             # the rows of loops.csv
    subgroup: int          # what the device plan chooses
    issues: int            # vector instructions per clock and core
    fma_lanes: int         # FP32 fused multiply-adds per clock and core, without dual issue
    matrix_flops: int      # FP16 products summed in FP32, dense, per clock and core; 0: no matrix unit
    line: int              # bytes of a line of the nearest vector cache
    lines_per_clock: float # lines that it looks up in a clock
    bytes_per_clock: int   # bytes that it returns in a clock
    slots: int             # one-subgroup workgroups that a core holds, whatever the registers
    max_subgroups: int     # subgroups that a core holds, whatever the registers
    per_core: int          # occupancy units (the compilers' table) in a core: SIMDs on AMD, 1 on NVIDIA
    sector: int            # bytes that memory is read in


# slots and max_subgroups on NVIDIA: CUDA C++ Programming Guide, "Technical Specifications per Compute Capability" (16
# blocks of 48 warps for 8.6, 24 for 8.9 and 12.0). A one-wave workgroup takes no barrier on AMD, so only waves count
# there.
# lines_per_clock on NVIDIA: 4 tags and 16 sectors a clock since Volta (an engineer of NVIDIA in
# forums.developer.nvidia.com/t/pascal-l1-cache/49571/14). Assumed: one line a clock on AMD and Intel, and
# bytes_per_clock on all three (128, 64, 64). Intel's vector engines: 16 per core of 8 lanes (Xe), 8 of 16 (Xe2).
ARCHITECTURES = {
    "ampere": Architecture("nvk-ampere", "nvk-ampere", 32, 4, 128, 512, 128, 4, 128, 16, 48, 1, 32),
    "ada": Architecture("nvk-ada", "nvk-ada", 32, 4, 128, 512, 128, 4, 128, 24, 48, 1, 32),
    "blackwell": Architecture("nvk-blackwell", "nvk-blackwell", 32, 4, 128, 512, 128, 4, 128, 24, 48, 1, 32),
    "rdna2": Architecture("radv-navi21", "radv-navi21", 32, 2, 64, 0, 128, 1, 64, 32, 32, 2, 64),
    "rdna3": Architecture("radv-navi31", "radv-navi31", 32, 2, 64, 512, 128, 1, 64, 32, 32, 2, 64),
    "rdna4": Architecture("radv-gfx1201", "radv-gfx1201", 32, 2, 64, 1024, 128, 1, 64, 32, 32, 2, 64),
    "xe": Architecture("anv-dg2", "anv-dg2", 8, 16, 128, 2048, 64, 1, 64, 128, 128, 1, 64),
    "xe2": Architecture("anv-bmg", "anv-bmg", 16, 8, 128, 2048, 64, 1, 64, 64, 64, 1, 64),
}


class Card(NamedTuple):
    name: str
    architecture: str
    cores: int
    mhz: int
    gb_per_s: float
    cache_mb: int
    peer_share: float # llama.cpp on Vulkan, Llama-2-7B Q4_0, generation: share of the specified bandwidth, as published
    source: str


CARDS = [
    Card("R9700", "rdna4", 64, 2920, 640, 64, 0.91,
         "64 CUs, 640 GB/s, 64 MB of Navi 48: Wikipedia, RDNA 4; the clock: not checked"),
    Card("RTX 4060 laptop", "ada", 24, 2370, 256, 32, 0.89,
         "fpsbench.com; the clock is that of 115 W, 1470 MHz at 35 W: data-check.eu"),
    Card("RX 6600", "rdna2", 28, 2491, 224, 32, 0.86, "cputronic.com, sysrqmts.com"),
    Card("RTX 4070 Ti", "ada", 60, 2610, 504, 48, 0.84, "fpsbench.com"),
    Card("RTX 3060", "ampere", 28, 1777, 360, 3, 0.81, "cholla.mmto.org, pcpartdb.com"),
    Card("RX 7900 XTX", "rdna3", 96, 2499, 960, 96, 0.76, "cputronic.com, guru3d.com"),
    Card("RTX 4090", "ada", 128, 2520, 1008, 72, 0.71, "hmc-tech.com"),
    Card("RTX 3090", "ampere", 82, 1695, 936, 6, 0.67, "holynerdvana.blogspot.com (a copy of Tom's Hardware's table)"),
    Card("Arc B580", "xe2", 20, 2670, 456, 18, 0.59, "fpsbench.com"),
    Card("RX 7900 XT", "rdna3", 84, 2394, 800, 80, 0.59, "cputronic.com, guru3d.com"),
    Card("RTX 5090", "blackwell", 170, 2407, 1792, 96, 0.47, "fpsbench.com, pocketmags.com"),
    Card("Arc A770", "xe", 32, 2100, 560, 16, 0.36,
         "fpsbench.com but for the bandwidth: 17.5 Gbit/s times 256 bits on the card with 16 GB, not checked"),
]


def architecture(card):
    return ARCHITECTURES[card.architecture]


def clocks_per_s(card):
    """Clocks of all cores together."""
    return card.cores * card.mhz * 1e6


def issue_per_s(card):
    """Vector instructions of a subgroup that the card issues in a second, at best."""
    return clocks_per_s(card) * architecture(card).issues


def fp32_tflops(card):
    return clocks_per_s(card) * architecture(card).fma_lanes * 2 / 1e12


def matrix_tflops(card):
    return clocks_per_s(card) * architecture(card).matrix_flops / 1e12
