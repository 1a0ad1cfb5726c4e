"""All settings: typed, frozen, documented field by field; read from TOML.

Unknown keys and wrong types are errors that name the key, what is allowed, and the nearest valid name.
``Settings`` → ``to_dict`` → ``Settings`` is the identity.
"""

from shortlist.settings.data import (
    ColumnSettings,
    Computed,
    DataSettings,
    FeatureSettings,
    FeaturesSettings,
    FeedbackSettings,
    Kind,
    SplitSettings,
)
from shortlist.settings.events import EventSettings, Meaning
from shortlist.settings.models import (
    CANDIDATES,
    BaselineSettings,
    EASESettings,
    ItemKNNSettings,
    MFSettings,
    PopularitySettings,
    RecentPopularitySettings,
    RetrieverSettings,
    SequentialRulesSettings,
    SourceSettings,
)
from shortlist.settings.networks import NetworkSettings, SoftmaxDNNSettings, TwoTowerSettings
from shortlist.settings.rankers import (
    BoostedTreesSettings,
    DeepCrossSettings,
    FeatureRankerSettings,
    LogisticMFSettings,
    NCFSettings,
    RankerSettings,
    RankerTargets,
)
from shortlist.settings.reranking import (
    BoostSettings,
    CalibrationSettings,
    DampingSettings,
    DiversitySettings,
    ExplorationSettings,
    ExposureSettings,
    FreshnessSettings,
    RerankSettings,
    RulesSettings,
)
from shortlist.settings.run import Settings
from shortlist.settings.table import Fraction, OneOf, Positive, Range
from shortlist.settings.training import BATCH_SIZE, EvaluationSettings, IndexSettings, TrainingSettings

__all__ = [
    "BATCH_SIZE",
    "CANDIDATES",
    "BaselineSettings",
    "BoostSettings",
    "BoostedTreesSettings",
    "CalibrationSettings",
    "ColumnSettings",
    "Computed",
    "DampingSettings",
    "DataSettings",
    "DeepCrossSettings",
    "DiversitySettings",
    "EASESettings",
    "EvaluationSettings",
    "EventSettings",
    "ExplorationSettings",
    "ExposureSettings",
    "FeatureRankerSettings",
    "FeatureSettings",
    "FeaturesSettings",
    "FeedbackSettings",
    "Fraction",
    "FreshnessSettings",
    "IndexSettings",
    "ItemKNNSettings",
    "Kind",
    "LogisticMFSettings",
    "MFSettings",
    "Meaning",
    "NCFSettings",
    "NetworkSettings",
    "OneOf",
    "PopularitySettings",
    "Positive",
    "Range",
    "RankerSettings",
    "RankerTargets",
    "RecentPopularitySettings",
    "RerankSettings",
    "RetrieverSettings",
    "RulesSettings",
    "SequentialRulesSettings",
    "Settings",
    "SoftmaxDNNSettings",
    "SourceSettings",
    "SplitSettings",
    "TrainingSettings",
    "TwoTowerSettings",
]
