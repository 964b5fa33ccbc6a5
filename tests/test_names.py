"""The table of units, labels and names."""

from zoo.metrics.names import GROUPS, NAMES, TRAINING, named
from zoo.models import METHODS, claims


def test_every_figure_has_a_group_and_figures_with_another_sign_have_the_opposite_aim():
    assert {name.group for name in NAMES.values()} - {""} == {*GROUPS, TRAINING}
    for metric, name in NAMES.items():
        if name.minus:
            assert metric == f"negative_{name.minus}" and named(name.minus).group == name.group == "terms"
    assert (NAMES["elbo"].better, NAMES["negative_elbo"].better) == ("higher", "lower")


def test_terms_that_the_table_lacks_are_nats_under_their_own_name():
    for term in (term for method in METHODS for term in claims(method) if term not in NAMES):
        assert (named(term).unit, named(term).group, named(term).label) == ("nats", "terms", term.replace("_", " "))
    assert named("transformed_sum_of_squares").unit == named("sum_of_squares").unit == "squared pixels"
    assert named("transformed_distortion").unit == "nats"


def test_titles_have_the_unit_where_it_says_more():
    assert named("rate").titled == "rate (nats)" and named("mutual_information").heading == "MI"
    assert (named("active_units").titled, named("knn_accuracy").titled) == ("active units", "KNN accuracy")
