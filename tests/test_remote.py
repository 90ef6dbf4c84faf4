"""Knowledge and patients in stores of others, and every way in which an endpoint can fail.

The stores are the Oxigraph server and Virtuoso of `stores.py`; the failures come from a server
that answers as it is told.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from stores import STORES, OxigraphServer, Virtuoso
from test_queries import COHORT, EXAMPLES, LIBRARY, as_cells, case_names, read_case
from typer.testing import CliRunner

from her2kg import KnowledgeGraph, endpoint, remote
from her2kg.cli import app
from her2kg.endpoint import Endpoint
from her2kg.errors import DataError, EngineError

pytestmark = pytest.mark.timeout(600)
PATIENTS = ("second-line-after-thp", "first-line-visceral", "residual-disease")
GRAPHS = "SELECT DISTINCT ?graph WHERE { GRAPH ?graph { ?one ?property ?value } }"
OURS = "https://w3id.org/her2kg"
