"""The parts of the ranks of a run, for any number of samples, ranks and samples of a batch."""

from hypothesis import given
from hypothesis import strategies as st

from tuitrain.engine.data import Part, shuffled

SIZES = {"total": st.integers(1, 200), "size": st.integers(1, 20), "count": st.integers(1, 9)}


@given(**SIZES, seed=st.integers(0, 99))
def test_together_they_train_each_sample_once_in_the_batches_of_one_process(
    total: int, size: int, count: int, seed: int
):
    order = shuffled(total, seed=seed, epoch=0).tolist()
    parts = [Part(rank, count) for rank in range(count)]
    own = [part.of(order, size) for part in parts]
    batches = -(-total // (size * count))
    assert {-(-len(samples) // size) for samples in own} == {batches}  # none waits for another
    for number in range(batches):
        common = order[number * size * count : (number + 1) * size * count]
        counted = [part.samples_of(total, size, number) for part in parts]
        assert {of_all for _, of_all in counted} == {len(common)}
        trained = [
            sample
            for samples, (count_of_rank, _) in zip(own, counted, strict=True)
            for sample in samples[number * size :][:count_of_rank]
        ]
        assert sorted(trained) == sorted(common)
        given = [len(samples[number * size :][:size]) for samples in own]
        assert max(given) == parts[0].most_of(total, size, number)


@given(**SIZES)
def test_each_knows_whether_others_have_one_more_batch_of_a_validation(
    total: int, size: int, count: int
):
    parts = [Part(rank, count) for rank in range(count)]
    batches = [-(-len(range(total)[part.rank :: count]) // size) for part in parts]
    lacking = [part.lacks_batch(total, size) for part in parts]
    assert lacking == [count < max(batches) for count in batches]


@given(**SIZES)
def test_an_order_of_a_tensor_is_parted_as_one_of_a_list(total: int, size: int, count: int):
    order = shuffled(total, seed=0, epoch=0)
    for rank in range(count):
        part = Part(rank, count)
        assert part.of(order, size).tolist() == part.of(order.tolist(), size)
