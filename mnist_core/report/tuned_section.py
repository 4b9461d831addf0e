"""What the page and metrics/tuned.md say of the tuned protocol."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from mnist_core.candidates import CHOICES, HYPERPARAMETERS, Choice, Finalist, Search, read_choice, read_search
from mnist_core.errors import UserError
from mnist_core.files.reading import REMEDY
from mnist_core.models import MODELS, tuned
from mnist_core.params import Params
from mnist_core.records import Scores
from mnist_core.report.results import read_trials
from mnist_core.report.sections import ReportSources, figure
from mnist_core.report.study import Importance, importances


@dataclass(frozen=True)
class TunedModel:
    """One model of the tuned protocol beside the same model of the report's.

    Attributes:
        name: in the report.
        batch_size: images a step.
        finalist: the one that was trained, with its error in the search and with other seeds.
        search_epochs: how many the search and the choice trained.
        report_epochs: how many the report's search trained.
        importances: of each hyperparameter for the error at the first rung.
        figures: by kind, those of `tuning_figure.TUNED_FIGURES`.
    """

    name: str
    scores: Scores
    report_scores: Scores
    choice: Choice
    batch_size: int
    search: Search
    finalist: Finalist
    search_epochs: int
    report_epochs: int
    importances: dict[str, Importance]
    figures: dict[str, Markup]

    @property
    def left_out(self) -> int | None:
        """The epoch after which the search left this trial out; None if it trained to the end."""
        epochs = self.search.trials[self.finalist.trial].epochs
        return epochs if epochs < self.choice.epochs else None

    @property
    def search_error(self) -> str:
        """The validation error in the search, percent, with its epoch if that is not the last."""
        return f"{self.finalist.search_error:.2f}" + (f" (epoch {self.left_out})" if self.left_out else "")

    @property
    def difference(self) -> str:
        """What other seeds took back, points; nothing can be said of a trial that was left out."""
        return "-" if self.left_out else f"{self.finalist.difference:+.2f}"


HYPERPARAMETER_NAMES = {name: name.replace("_", " ") for name in ("learning_rate", *CHOICES)}
_LABELS = {
    "search": "Line chart: validation error of every trial of model {} after each epoch.",
    "best": "Line chart: lowest validation error so far of model {} over the epochs of all trials.",
    "hyperparameters": "Six charts: validation error of model {} at the first rung over each hyperparameter.",
    "curves": "Line chart: training and test error of model {} after each epoch, mean over the seeds.",
}


def tuned_models(sources: ReportSources, params: Params, summary: Mapping[str, Scores]) -> list[TunedModel]:
    """Gather the models of the tuned protocol that were evaluated, perhaps none; UserError if a file is broken."""
    found = []
    for model in MODELS:
        if (name := tuned(model)) not in summary:
            continue
        search = read_search(sources.search / f"{name}.json", name)
        choice = read_choice(sources.models / name / HYPERPARAMETERS, name, search)
        finalist = next((one for one in search.finalists if _is_of(one, search, choice)), None)
        if finalist is None:
            raise UserError(f"{sources.search / name}.json: no finalist is what the model was trained with; {REMEDY}")
        trials = read_trials(sources.trials / f"{name}.csv", search)
        seeds = sum(len(one.validation_errors) for one in search.finalists)
        found.append(
            TunedModel(
                name=model,
                scores=summary[name],
                report_scores=summary[model],
                choice=choice,
                batch_size=choice.batch_size or params.active.batch_size(name),
                search=search,
                finalist=finalist,
                search_epochs=sum(trial.epochs for trial in search.trials) + seeds * choice.epochs,
                report_epochs=sum(
                    trial.epochs for trial in read_search(sources.search / f"{model}.json", model).trials
                ),
                importances=importances(search, trials),
                figures={
                    kind: figure(sources.figures / f"{kind}_{name}.svg", label.format(name))
                    for kind, label in _LABELS.items()
                },
            )
        )
    return found


def _is_of(finalist: Finalist, search: Search, choice: Choice) -> bool:
    return search.trials[finalist.trial].hyperparameters == choice.hyperparameters


def tuned_markdown(models: Sequence[TunedModel]) -> str:
    """Return metrics/tuned.md: what was chosen, how good it is, what mattered and what it cost."""
    if not models:
        return "No model of the tuned protocol has these images, layers and seeds: run `make tuned`.\n"
    names = HYPERPARAMETER_NAMES.values()
    tables = (
        ("What was chosen", [*names, "epochs"], _chosen),
        (
            "Errors in percent; the difference is what other seeds took back from the search, in points, unless it had"
            " left the trial out",
            [
                "validation, search",
                "validation, other seeds",
                "difference",
                "training",
                "test",
                "test, report's protocol",
            ],
            _errors,
        ),
        (
            "Share of each hyperparameter in the validation error at the first rung, percent (PED-ANOVA), and in"
            " brackets how often, in percent, chance gives it so much: errors dealt out to the trials at random",
            names,
            _shares,
        ),
        (
            "Epochs of the search and the choice (trainings to narrow the space, docs/tuned.md, come on top)",
            ["tuned protocol", "report's protocol"],
            lambda model: [str(model.search_epochs), str(model.report_epochs)],
        ),
    )
    return "\n".join(
        f"{title}:\n\n{_table(['Model', *heading], [[model.name, *cells(model)] for model in models])}"
        for title, heading, cells in tables
    )


def _chosen(model: TunedModel) -> list[str]:
    choice = model.choice
    numbers = (choice.learning_rate, model.batch_size, choice.momentum, choice.weight_decay)
    return [*(f"{number:g}" for number in numbers), choice.schedule, str(choice.shift), str(choice.epochs)]


def _errors(model: TunedModel) -> list[str]:
    return [
        model.search_error,
        f"{model.choice.validation_error:.2f}",
        model.difference,
        f"{model.scores.train_error:.3f}",
        f"{model.scores.test_error:.2f} ± {model.scores.test_error_std:.2f}",
        f"{model.report_scores.test_error:.2f}",
    ]


def _shares(model: TunedModel) -> list[str]:
    found = [model.importances.get(name) for name in HYPERPARAMETER_NAMES]
    return ["-" if one is None else f"{100 * one.share:.0f} ({100 * one.chance:.0f})" for one in found]


def _table(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rules = ["---", *["---:"] * (len(heading) - 1)]
    return "".join(f"| {' | '.join(cells)} |\n" for cells in (heading, rules, *rows))
