"""The loss: what nobody has labelled never counts, what is known and wrong does, rare grades count more."""

import pytest
import torch

from spinenet.labels import MAX_GRADES, TARGET, TARGET_INDEX, TARGETS, UNKNOWN
from spinenet.train.losses import grade_weights, grading_loss

EVEN_TK = torch.ones(len(TARGETS), MAX_GRADES)


def unknown(studies=2, levels=3):
    return torch.full((studies, levels, len(TARGETS)), UNKNOWN)


def any_logp(studies=2, levels=3, seed=0):
    """Log-probabilities of random grades; those a scale does not have are as the network gives them."""
    scores = torch.randn(studies, levels, len(TARGETS), MAX_GRADES, generator=torch.Generator().manual_seed(seed))
    for index, target in enumerate(TARGETS):
        scores[..., index, len(target.grades) :] = -1e4
    return torch.log_softmax(scores, -1)


def sure_of(grade, target):
    """One disc at which ``target`` has ``grade`` (index) with probability 0.96 or more."""
    p = torch.full((MAX_GRADES,), 0.01)
    p[grade] = 0.96
    logp = any_logp(1, 1)
    logp[0, 0, TARGET_INDEX[target]] = p.log()
    return logp


def labelled(target, grade):
    grades = unknown(1, 1)
    grades[0, 0, TARGET_INDEX[target]] = grade
    return grades


def test_where_nothing_is_known_the_loss_and_its_gradient_are_zero():
    logp = any_logp().requires_grad_()
    loss = grading_loss(logp, unknown(), EVEN_TK)
    loss.backward()
    assert loss.item() == 0 and torch.equal(logp.grad, torch.zeros_like(logp))


def test_a_batch_without_labels_leaves_the_network_with_a_finite_zero_gradient(grader, bag_tensors):
    inputs = bag_tensors()
    grading_loss(grader.train().forward_present(*inputs)[0], unknown(*inputs[-1].shape), EVEN_TK).backward()
    gradients = [parameter.grad for parameter in grader.parameters() if parameter.grad is not None]
    assert gradients and all((gradient == 0).all() for gradient in gradients)


@pytest.mark.parametrize("target", TARGET)
def test_the_right_grade_costs_least(target):
    grades = range(len(TARGET[target].grades))
    for truth in grades:
        losses = [grading_loss(sure_of(said, target), labelled(target, truth), EVEN_TK).item() for said in grades]
        assert min(losses) == losses[truth] < 0.1
        assert all(loss > 10 * losses[truth] for said, loss in enumerate(losses) if said != truth)


def test_an_ordinal_grade_further_off_costs_more():
    losses = [grading_loss(sure_of(said, "pfirrmann"), labelled("pfirrmann", 0), EVEN_TK).item() for said in range(5)]
    assert losses == sorted(losses)


def test_what_is_said_of_unknown_discs_never_counts():
    grades = unknown()
    grades[0, 1, TARGET_INDEX["pfirrmann"]], grades[1, 2, TARGET_INDEX["modic"]] = 3, 1
    known = grades != UNKNOWN
    first, other = any_logp(seed=1), any_logp(seed=2)
    other[known] = first[known]
    other.requires_grad_()
    loss = grading_loss(other, grades, EVEN_TK)
    loss.backward()
    assert loss.item() == pytest.approx(grading_loss(first, grades, EVEN_TK).item())
    assert (other.grad[~known] == 0).all() and (other.grad[known] != 0).any()


def test_padding_a_batch_does_not_change_its_loss():
    logp, grades = any_logp(2, 3), torch.zeros(2, 3, len(TARGETS), dtype=torch.long)
    padded = torch.cat([grades, unknown(2, 2)], 1)
    assert grading_loss(torch.cat([logp, any_logp(2, 2)], 1), padded, EVEN_TK).item() == pytest.approx(
        grading_loss(logp, grades, EVEN_TK).item()
    )


def test_every_labelled_target_counts_alike_however_many_discs_it_has():
    grades = unknown(1, 3)
    grades[0, :, TARGET_INDEX["bulging"]] = 1
    bulging = grading_loss(any_logp(1, 3), grades, EVEN_TK)
    alone = unknown(1, 3)
    alone[0, 0, TARGET_INDEX["herniation"]] = 0
    herniation = grading_loss(any_logp(1, 3), alone, EVEN_TK)
    both = grading_loss(any_logp(1, 3), torch.where(alone != UNKNOWN, alone, grades), EVEN_TK)
    assert both.item() == pytest.approx((bulging + herniation).item() / 2)


def test_a_grade_that_training_never_saw_does_not_break_validation():
    logp = any_logp(1, 1).requires_grad_()
    loss = grading_loss(logp, labelled("modic", 3), torch.zeros_like(EVEN_TK))
    loss.backward()
    assert loss.item() == 0 and torch.isfinite(logp.grad).all()


def test_a_network_that_is_surely_wrong_still_has_a_finite_loss():
    logp = any_logp(1, 1)
    logp[0, 0, TARGET_INDEX["pfirrmann"]] = torch.tensor([0.0, -1e4, -1e4, -1e4, -1e4])
    logp.requires_grad_()
    loss = grading_loss(logp, labelled("pfirrmann", 4), EVEN_TK)
    loss.backward()
    assert torch.isfinite(loss) and loss > 5 and torch.isfinite(logp.grad).all()


def counted(**counts):
    """(N, T) grades with so many discs of each grade of the named targets."""
    columns = {
        name: torch.arange(len(number)).repeat_interleave(torch.tensor(number)) for name, number in counts.items()
    }
    grades_NT = torch.full((max(map(len, columns.values())), len(TARGETS)), UNKNOWN)
    for name, column in columns.items():
        grades_NT[: len(column), TARGET_INDEX[name]] = column
    return grades_NT


def test_rare_grades_weigh_more_and_the_mean_weight_is_one():
    counts = (60, 30, 10)
    weights = grade_weights(counted(canal_stenosis=counts))[TARGET_INDEX["canal_stenosis"]]
    assert weights[0] < weights[1] < weights[2]
    assert (weights[2] / weights[0]).item() == pytest.approx(6**0.5, rel=1e-4)
    assert (weights[:3] @ torch.tensor(counts, dtype=torch.float)).item() / 100 == pytest.approx(1)


def test_grades_that_do_not_occur_and_targets_without_labels_weigh_nothing():
    weights_TK = grade_weights(counted(modic=(50, 0, 20, 0)))
    assert weights_TK[TARGET_INDEX["modic"]].gt(0).tolist() == [True, False, True, False, False]
    others = [index for index in range(len(TARGETS)) if index != TARGET_INDEX["modic"]]
    assert not weights_TK[others].any()


def test_one_disc_of_a_grade_does_not_rule_the_loss():
    weights = grade_weights(counted(herniation=(4999, 1)))[TARGET_INDEX["herniation"]]
    assert weights[1] / weights[0] < 9
