#!/usr/bin/env python3
"""The performance model's arithmetic (bench/model): bytes against published file sizes, rates against published rates,
cache lines against hand counts, and that predictions move the way they must.

usage: test_model.py SOURCE_DIR
"""
import sys
from dataclasses import replace
from pathlib import Path

from checks import command, run

TOP = Path(sys.argv[1]).resolve()
sys.dont_write_bytecode = True
sys.path.insert(0, str(TOP / "bench/model"))

import access
import cards
import loops
import model
import shapes

LLAMA2, QWEN3, QWEN2 = shapes.SHAPES
CARD = {c.name: c for c in cards.CARDS}
FREE = replace(model.Assumed(), gap_us=0, small_trips=0, idle_latency_us=0, dram_share=1.0)


def near(value, expected, tolerance):
    assert abs(value - expected) <= tolerance * abs(expected), f"{value} is not within {tolerance:.1%} of {expected}"


def file_sizes_are_those_that_llama_bench_prints():
    near(shapes.file_bytes(LLAMA2) / 2**30, 3.56, 0.002) # "llama 7B Q4_0"
    near(shapes.file_bytes(QWEN3) / 2**30, 4.68, 0.002)  # "qwen3 8B Q4_K - Medium"
    near(shapes.file_bytes(QWEN2) / 2**30, 4.36, 0.002)  # "qwen2 7B Q4_K - Medium"


def bytes_of_a_token_are_the_file_less_its_embedding():
    # DESIGN.md's 4.68 GB for Qwen3-8B, of which a little is context
    near(shapes.read_bytes(QWEN3) / 1e9, 4.68, 0.005)
    # a hand count: 151,936 rows of 4,096 elements in blocks of 256 elements and 144 bytes, one of which is read
    near(shapes.file_bytes(QWEN3) - shapes.read_bytes(QWEN3), 151935 * 4096 / 256 * 144, 1e-9)


def parameters_are_the_published_ones():
    for shape, billions in ((LLAMA2, 6.74), (QWEN3, 8.19), (QWEN2, 7.62)):
        elements = shapes.layer_elements(shape) + 2 * shape.vocab * shape.embd
        near(elements / 1e9, billions, 0.002)


def context_costs_half_a_megabyte_a_token_on_llama_2():
    assert shapes.kv_bytes(LLAMA2, 1) == 32 * 2 * 4096 * 2


def rates_follow_from_cores_and_clocks():
    near(cards.fp32_tflops(CARD["RTX 4090"]), 82.58, 0.001)
    near(cards.matrix_tflops(CARD["RTX 4090"]), 165.2, 0.001)
    near(cards.fp32_tflops(CARD["RTX 5090"]), 104.8, 0.001)
    near(cards.matrix_tflops(CARD["RX 7900 XTX"]), 122.8, 0.001)
    near(cards.fp32_tflops(CARD["RX 6600"]), 8.928, 0.001)
    near(cards.fp32_tflops(CARD["Arc B580"]), 13.67, 0.001)


def every_card_of_the_published_list_is_there_once():
    assert len(CARD) == len(cards.CARDS) == 12
    assert all(0 < c.peer_share < 1 for c in cards.CARDS)


def lines_are_counted_per_load_instruction():
    assert access.lines([(16 * lane, 16) for lane in range(32)], 0, 128) == 4
    assert access.lines([(16 * lane, 16) for lane in range(32)], 64, 128) == 5
    assert access.lines([(128 * lane, 16) for lane in range(32)], 0, 128) == 32
    assert access.lines([(126, 4)], 0, 128) == 2


def a_load_stays_inside_its_row_but_for_the_last_word():
    for fmt, (elements, size) in shapes.FORMATS.items():
        if fmt in ("F16", "F32"):
            continue
        row = 4096 // elements * size
        for b in range(4096 // 32):
            for loads in (access.packed_loads(fmt, b), access.plane_loads(fmt, b, 4096 // 32)):
                assert all(at >= 0 and at + n <= (row + 3) // 4 * 4 for at, n in loads), (fmt, b, loads)


def planes_ask_for_every_sector_about_once():
    # Q4_0: five words 18 bytes apart from lane to lane touch nearly every sector of 576 bytes each time
    asked, read = access.sectors_per_useful("Q4_0", "packed")
    assert 4.9 < asked < 5.3 and 1.0 <= read < 1.06, (asked, read)
    for fmt in ("Q4_0", "Q8_0", "Q4_K", "Q6_K"):
        asked, read = access.sectors_per_useful(fmt, "planes")
        assert 1.0 <= asked < 1.1 and 1.0 <= read < 1.1, (fmt, asked, read)


def nothing_reads_faster_than_the_memory():
    for card in cards.CARDS:
        for shape in shapes.SHAPES:
            assert model.share(card, shape, model.decode_rate(card, shape, model.TODAY, FREE)) <= 1.0
    endless = CARD["RTX 4090"]._replace(cores=10**6)
    rate = model.decode_rate(endless, LLAMA2, model.TODAY, replace(FREE, latency_us=0))
    near(rate * (shapes.layer_bytes(LLAMA2) + shapes.output_matrix(LLAMA2).bytes + shapes.kv_bytes(LLAMA2, 64)),
         1008e9, 1e-6)


def predictions_move_the_way_they_must():
    some = model.Assumed()
    for card in cards.CARDS:
        for shape in shapes.SHAPES:
            rate = model.decode_rate(card, shape, model.TODAY, some)
            wider = card._replace(gb_per_s=2 * card.gb_per_s)
            assert model.decode_rate(wider, shape, model.TODAY, some) >= rate
            assert model.decode_rate(card._replace(mhz=2 * card.mhz), shape, model.TODAY, some) >= rate
            assert model.decode_rate(card, shape, model.TODAY, replace(some, gap_us=2 * some.gap_us)) < rate
            assert model.decode_rate(card, shape, model.APART, some) < rate
            assert model.decode_rate(card, shape, model.FREE_TAILS, some) > rate
            assert 1 / sum(model.decode(card, shape, model.TODAY, some, depth=4096).values()) < rate
            int8, planes = (model.decode_rate(card, shape, p, some) for p in (model.INT8, model.REPACKED))
            assert planes >= int8, (card.name, shape.name)
            prompt = model.prefill_rate(card, shape, "matmul_f16", some)
            assert prompt <= cards.fp32_tflops(card) * 1e12 / (2 * shapes.layer_elements(shape))
            assert model.prefill_rate(card._replace(cores=2 * card.cores), shape, "matmul_f16", some) > prompt


def bounds_that_overlap_less_cost_more():
    assert model.joined([3.0, 1.0], float("inf")) == 3.0
    near(model.joined([3.0, 4.0], 2.0), 5.0, 1e-12)
    for card in cards.CARDS:
        rates = [model.decode_rate(card, LLAMA2, model.TODAY, model.Assumed(overlap=p))
                 for p in (2.0, 4.0, float("inf"))]
        assert rates == sorted(rates), rates


def a_gap_costs_what_its_groups_cost():
    card, some = CARD["RTX 3060"], model.Assumed()
    seconds = [1 / model.decode_rate(card, LLAMA2, model.TODAY, replace(some, gap_us=g)) for g in (2, 5)]
    near(seconds[1] - seconds[0], (32 * 6 + 5) * 3e-6, 1e-6)


def a_tail_waits_as_often_as_its_loads_depend():
    # 4,096 elements are 1,024 vectors of four: 32 lanes have 32 each, so 4 rounds of 8, 8 rounds of 4, and the store
    assert model.norm_trips(4096, 32, 32) == 4 + 8 + 1
    # four subgroups have a chain each, which is 8 vectors one by one, and then 8 each of which 4 at a time
    assert model.norm_trips(4096, 32, 128) == 8 + 2 + 1
    # 64 tokens: 2 rounds of 32, two loads of K each; 16 of V per invocation, two at a time
    assert model.attention_trips(LLAMA2, 64) == 2 * 2 + 8 + 2
    assert model.attention_trips(LLAMA2, 4096) == model.attention_trips(LLAMA2, 128)


def a_tail_is_not_every_workgroups_work():
    for (target, kernel), (whole, loop, inner, tail) in model.loop_table().items():
        assert inner <= loop <= whole - tail and (tail > 0) == kernel.startswith("matvec"), (target, kernel)
    arch = cards.ARCHITECTURES["ampere"]
    whole, loop, _, tail = model.loop_table()["nvk-ampere", "matvec_q4_0"]
    assert model.loop_of(arch, "matvec_q4_0") == (whole - loop - tail, loop, 0)


def the_largest_gap_gives_the_wanted_share():
    card, some = CARD["RTX 3090"], model.Assumed()

    def share(gap_us):
        rate = model.decode_rate(card, QWEN3, model.TODAY, replace(some, gap_us=gap_us))
        return model.share(card, QWEN3, rate)

    wanted = 0.9 * share(0.0)
    gap = model.largest_gap_us(card, QWEN3, model.TODAY, some, wanted)
    assert gap > 0 > model.largest_gap_us(card, QWEN3, model.TODAY, some, 1.1 * share(0.0))
    near(share(gap), wanted, 1e-9)


def the_peers_rate_is_its_share_in_other_words():
    near(model.peer_rate(CARD["RTX 4090"]), 0.71 * 1008 / 3.7513, 0.001)
    near(model.share(CARD["RX 6600"], LLAMA2, model.peer_rate(CARD["RX 6600"])), 0.86, 1e-9)


def loops_are_found_in_all_dialects():
    amd = "disasm:\nBB0:\n\ts_mov_b32 s0, s1  ; 00\n\ts_branch BB2 ; 00\n" \
          "BB1:\n\tv_add v0, v1 ; 00\n\tv_mul v0, v1 ; 00\nBB2:\n" \
          "\ts_cmp s0, s1 ; 00\n\ts_cbranch_scc1 BB1 ; 00\nBB3:\n\ts_endpgm ; 00\n"
    assert [loops.count(s) for s in loops.shaders(amd)] == [(7, 4, 0, 0)]
    nvidia = "block 0 L0 [] -> {\n r0 = mov // delay=1\n}\nblock 1 L1 [0, 3] -> {\n@p0 bra pT L4 // delay=1\n}\n" \
             "block 2 L2 [1] -> {\n r0 = fadd // delay=1\n@!p0 bra pT L2 // delay=1\n}\n" \
             "block 3 L3 [2] -> {\n bra pT L1 // delay=1\n}\nblock 4 L4 [1] -> {\n exit // delay=1\n}\n"
    assert [loops.count(s) for s in loops.shaders(nvidia)] == [(6, 4, 2, 0)]
    intel = "Native code for unnamed compute shader (x)\nSIMD16 shader: 6 instructions.\n(W)     mov (16)   r1   r0 {I@1}\n" \
            "\nL3:\n        add (16)   r2:d  r1  r1\n(f0.0)  if (16)    jip:L5    uip:L5\n        mul (16)  r2  r2\n" \
            "\nL5:\n        endif (16)   L6\n\nL6:\n        while (16)   L3\n(W)     send.gtwy (1)   null  r3  {EOT}\n" \
            "\nNIR (final form) for compute shader:\nL9:\n    } else {\n        add (16) r1\n"
    assert [loops.count(s) for s in loops.shaders(intel)] == [(7, 5, 0, 0)]


def what_follows_the_count_of_workgroups_is_a_tail():
    # a loop of 3, a count by one lane (a branch around it), then a longer loop that one workgroup runs
    nvidia = "block 0 L0 [] -> {\n r0 = mov // delay=1\n}\n" \
             "block 1 L1 [0, 1] -> {\n r0 = fadd // delay=1\n r1 = fadd // delay=1\n@p0 bra pT L1 // delay=1\n}\n" \
             "block 2 L2 [1] -> {\n@p1 bra pT L4 // delay=1\n}\n" \
             "block 3 L3 [2] -> {\n r2 = atom.add.u32 [r4] r1 // delay=1\n}\n" \
             "block 4 L4 [2, 3] -> {\n@p2 bra pT L6 // delay=1\n}\n" \
             "block 5 L5 [4, 5] -> {\n" + " r0 = fmul // delay=1\n" * 7 + "@p3 bra pT L5 // delay=1\n}\n" \
             "block 6 L6 [4, 5] -> {\n exit // delay=1\n}\n"
    assert [loops.count(s) for s in loops.shaders(nvidia)] == [(16, 3, 0, 10)]


def the_program_prints_every_table():
    text = command(sys.executable, "-B", TOP / "bench/model/model.py", "--gap", "3", "--card", "4090").stdout
    for name in ("tg128", "pp512", "decode against today", "Each bound", "Sectors", "llama.cpp", "largest gap"):
        assert name in text, text
    assert text.count("| RTX 4090 |") == 14, text
    command(sys.executable, "-B", TOP / "bench/model/model.py", "nothing", code=2)
    command(sys.executable, "-B", TOP / "bench/model/model.py", "--card", "nothing", code=2)


run(file_sizes_are_those_that_llama_bench_prints, bytes_of_a_token_are_the_file_less_its_embedding,
    parameters_are_the_published_ones, context_costs_half_a_megabyte_a_token_on_llama_2,
    rates_follow_from_cores_and_clocks, every_card_of_the_published_list_is_there_once,
    lines_are_counted_per_load_instruction, a_load_stays_inside_its_row_but_for_the_last_word,
    planes_ask_for_every_sector_about_once, nothing_reads_faster_than_the_memory, predictions_move_the_way_they_must,
    bounds_that_overlap_less_cost_more, a_gap_costs_what_its_groups_cost, the_largest_gap_gives_the_wanted_share,
    a_tail_waits_as_often_as_its_loads_depend, a_tail_is_not_every_workgroups_work,
    the_peers_rate_is_its_share_in_other_words, loops_are_found_in_all_dialects,
    what_follows_the_count_of_workgroups_is_a_tail,
    the_program_prints_every_table)
