"""The composition of the tabular endpoints."""

from __future__ import annotations

from fastapi import APIRouter

from omni.inference.caller import CallerDependency
from omni.inference.runtime.pool import EnginePool
from omni.inference.tabular.associations.routes import router as associations_router
from omni.inference.tabular.associations.service import AssociationService
from omni.inference.tabular.change_points.routes import router as change_points_router
from omni.inference.tabular.change_points.service import ChangePointService
from omni.inference.tabular.clustering.routes import router as clustering_router
from omni.inference.tabular.clustering.service import ClusteringService
from omni.inference.tabular.customers.routes import router as customers_router
from omni.inference.tabular.customers.service import CustomerService
from omni.inference.tabular.experiments.routes import router as experiments_router
from omni.inference.tabular.experiments.service import ExperimentService
from omni.inference.tabular.hierarchy.routes import router as hierarchy_router
from omni.inference.tabular.hierarchy.service import HierarchyService
from omni.inference.tabular.optimisation.routes import router as optimisation_router
from omni.inference.tabular.optimisation.service import OptimisationService
from omni.inference.tabular.profiling.routes import router as profiling_router
from omni.inference.tabular.profiling.service import ProfilingService
from omni.inference.tabular.routes import router as forecasts_and_anomalies
from omni.inference.tabular.service import TabularService
from omni.inference.tabular.streams.routes import router as streams_router
from omni.inference.tabular.streams.service import StreamService


def tabular_routers(pool: EnginePool, who: CallerDependency, state_secret: bytes) -> list[APIRouter]:
    """Every tabular endpoint, on one pool. `state_secret` seals the states of streams."""
    return [
        forecasts_and_anomalies(TabularService(pool), who),
        experiments_router(ExperimentService(pool), who),
        change_points_router(ChangePointService(pool), who),
        clustering_router(ClusteringService(pool), who),
        associations_router(AssociationService(pool), who),
        profiling_router(ProfilingService(pool), who),
        hierarchy_router(HierarchyService(pool), who),
        streams_router(StreamService(pool, state_secret), who),
        customers_router(CustomerService(pool), who),
        optimisation_router(OptimisationService(pool), who),
    ]
