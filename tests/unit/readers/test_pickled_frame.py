"""Pickles are parsed, not run: what pandas writes is read, everything else is only a name."""

from __future__ import annotations

import base64
import datetime as dt
import decimal
import functools
import os
import pathlib
import pickle
import re
import signal
import subprocess
import sys
import uuid
import zlib
import zoneinfo
from collections import Counter, OrderedDict, defaultdict, deque
from contextlib import suppress
from pickle import UnpicklingError
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from workload.readers import pickle_program, pickled_frame
from workload.readers.pickled_frame import load_frame

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WRITTEN_BY = {
    "pandas 1.0.5, NumPy 1.18.5, protocol 3": (
        "eNqNlnl8E0UUx3M0BcIhyKGcBVRYPAIVxKIgDW3AsCSFaaoRqWE3XdhIk+a3uwFaCYLaIirigYonKniCqHjhrXjh"
        "LV6INyqHouKFIh44MzuNKcdH80dmZ37zffPmvTezO88dTyupGsX0xesMzTfNUJKat1yxlLH8CY5B8+HMwiVFPQ6H"
        "I1ZDFbREEilLM1JKrelLKillumaY3jG1dfEZIbvnRQE14ZGqUSjtw9VoszXTpyqm5o2ltFmxIBvxotXBp4kZrbNo"
        "I0ULqEPcH288lUmm6+35yUytlVAMQ6n3xgwtXpcyLSMTt7xoa8/yUtNcRTvZ0Yj2ZU4VHRbgEIKOkuyUWzeik5hY"
        "Y9WnaQQOjbroQhUl6Cw7ZOcCdCHoKsnuqJOOzkG3cDg8fi/98T95tIXD1IXVOFyKdqB6hPjDlf6ySLAiHAuWo3u0"
        "LRuMxsr9kUAkGAqgBx8pq6qMVIQChM3pac8JkFAw7J/ARnpF29iUP1RRFY6gd7S13R9L/FXl6BPtlNeNVZYFwn4S"
        "rEARD1C4IhJAX81CP5X3UzSr6B/ONOEIgiP1A8faUFLTNS9h/yLiR2UxQNL7h3kVmJZiWBgoO7hF06pLQ5I9oqOl"
        "MUh2UvtHExyjVeNYSW+r81Afp9M4+wgGszg7ZU8Thuh2cBMlKLaDezzB0ObgjsSwlsF1WDhBXVgmOcTPKVqXaN2i"
        "LRAthls4UW2xQ55600fLRrMSSc1kpc6f/HZNlNBaHZHFSZLubnb7ZOb2SIJRzG1PI04RTodKMNp2upTAL8kF+r7u"
        "ZjFGKnOlTJTxDTstlDchYGEs38TM9Ss3DOjX1bFkxdrtrF26adyIgbTd02VnmLUrdmOV0a8rxlk4VbVP3zRDA4Lh"
        "aCE/iqw8Mb7F9viYKZrc3iKTy+1SlunuJmQRss9OJpWwEOZ7oT5W8AerARPj6XqrwRtLezFJirajg4GMUZfWBk9U"
        "jIQJEurloplnsZ4QiqDSQoSgKqNm1OaAncYCdjpBNJfnM/Su9ExMlkIRV0jpLLtCfTuGlrlpUZ55wOywG4XdHEG7"
        "FamZQp2vzuKsvNTE2EpTCRSRGlUfSiMbaWenP9Lebqs8dtuvv92uGSDKI26hRkQ2qZgzoDXbncbsTifQhd2ESLla"
        "jLPtlM8gqKV1qnfbr0KTNLn2gkhZqFPtZMWVuK4hnQX4enbujP/Y/PBhIm8m3bpl/hvhDPNvJsGsXIRnCw+nlaDe"
        "9rCB4Bzm4f5naA4rvy6rx21uWDKhFKO8G5dPjZRyj0vV0sXrdklTiiaWFjXumLR2brAUWQtzcwufyxaeRzA/t/B5"
        "POSOfX7Og/RxvoULctYambUmggU5axf+L2vN5xwLLVyUs3Yxs3YJwaKctUt52S2W+G2i4DLeqrg8zB9qcAVvNVxJ"
        "K3GJSu+qqyS9lU5fLldLurfZ7DXM7FKCa7nZRlzHjV6vd1cs3KDq/Cq9keAmm1yWR97MyFsIbhXkck6u0HtQ8jZB"
        "3k5wh03emUfexci7CVYKchUn79F7UnK1IO8luM8m788j1zDyAYIHBfkQJx/We1HyEUGuJXjUJh/LIx9n5BMETwry"
        "KU4+rfem5DOCfJZgnU0+l0c+z8gXCF4U5EucXK/3oeTLgnyF4FWbfC2PfJ2RbxC8Kci3OLlBL6Lk24J8h+Bdm3wv"
        "j3yfkRsJPhDkJk5+qPel5EeC/JjgEy2LT/kJHOIrHuYrxmdZfG7ffgp90WGzXshVlX2wmPiiGl9KWXwl8cGZSm2G"
        "ztmiD+Yv3OR0I0anmdgaVzMJ+pGRMr1mbSJOz+c2duTYodtO8HUmi28kfYs+Qt+qb6PDLibsIPiWCt8xIcoFl+xm"
        "wvcEO6nwAxOqueCWC5jwI8FPVPiZCbO4UCB7mPALwS4q/MqE+VzwyIVM+I1gNxV+Z8ICLhTKrZiwh+APKvzJhEVc"
        "aCW3ZsJfBH9ntIxpYa/9dRCj943Bzhv/5GAfV/yD0HA2D8WSmqWwccNFh6oNNxPYjaZYlmEaBbSbNTz0P6P6/gEK"
        "7Vdt"
    ),
    "pandas 1.2.5, NumPy 1.19.5, protocol 5": (
        "eNqdVk1sG0UUttdex/mjBBKVoqollUhdQIZIFQJEhF3Hjcxm18HZSAhRLbP2OLPEu3Z2dhsSUQSHhFYaiUMHhDiA"
        "BOUE4sCpZ05cOSGO3JA4cEJCSPy8md1tvEkAmbXk93bevJk37/vem31bff+58Yx82MwAeR1Ey+2+j8tdH7mYs/Fl"
        "FKCrUr/NL73Db/ASy1vups/ZueHpjhdg30M9WnaRhzaxTzmbutLrt7f06D1yL10D/4fSjh38BqZlG1HYbsLy8I7V"
        "EGPgQCaZmuhy4w4Ew9mcF7qD3cjdDXuBg3wf7cJ+lo/bfY8GftgOwIWpciJnY7CdnHKba5l9Xsva/F3e4iUtqxX3"
        "OZljaifYHYgTMqX5DL91M7LmWPZNbhjGi3/BI/+0FwJu3xJnuM9sVY31as1sNA2rsczZpPmytVw162ZDr8NbbWPd"
        "bOr1Vmyrt/SGUV2Vb+Mws6o3NwyTsyLoV1vVDRieSVRrvVY3qq1Gk7O80TTrHMOmLO8JDIzwAEIj0+zMSTn0kbcp"
        "ktgScihxpGwwlQbID+D8LE+D/oBrqlAwKFm5JhanemAos6Bi32lD9FbX77t22O1KFEsflDLpJxtLJZa5WOZjyck5"
        "pjipvD5/JK8ZOCKgoR5wlq3xAKaxs8MnlPDRMuCPA8fFQK7p5VivxsjG5FQtSRIyS04LrMmZBGl1X8ahH8aRJ1eO"
        "RAEL1BSPQk7EL+AHXOBdK2Wuf/vFdwvzcxl+5+5PQn74w8qzF0H+PvuLIeSd37a/9OfnxHSIoOvjbW6wghXRKg2W"
        "HKOx4OxUcg7zleWYhEmZhZ4TACMhHqYEe8CGwa4QijUQMLCpeuj3B/jJNeQ7lOtnFcA2t6qbMn2hDdu3UZtguVbR"
        "SkqArAGVOo4rcA/t42mSIJB5QXLdVHT0oKboj9yvf5KTLHz4BFBE6YsCZ1ONSEsjQnSydMgZcyqW05HcUCM5fyGS"
        "Xy8knKlKxOqSC6rlIrrFxULqMPMkovbiIbPIhRN4dW8d4t7gSa2THTYB8T59OZV1MaPEJmUZxOiRKstvQYUBMx0e"
        "UptC1oYONPvVyo97fLWyvTTx/WevmRU5WLEr733za+nV82uV8/s/v3T3rUZFhtodKoJj5LtXAnGwS8cr7WjFHX0X"
        "WfufS+T+YYl/IwjLQjeGZmqwrEgPlp1KNBIyTU4J6GdOcN+PnMmjCCZDZ4o72n87LIzqcHFUh9KoDpdGdXhsVIfH"
        "R3V4YtgBA98LT5UXL5cXo5aC4JrgZIIVbHE1Uw5YifHCddQLhWWFFeFut8AITadohw7crqL/qLTntLG8P8VmYtdQ"
        "RPIH0cifr2eBTDCspAw0MShaLmXYSww5LZ8yfJQY8pqaMnycGFStkDJ8mhgK2ljK8HliGNOKsQGHVN6jFlQ1XMLi"
        "lki+cSwXB0heG9fgqCgI4OtFZM7q9tCmVE+jXq+/Q61OOIBEQMe2esjGPcpvQjso/w1hgzqN"
    ),
    "pandas 1.3.5, NumPy 1.21.6, protocol 4": (
        "eNq1VU2M20QUTpx4N/sLpV1KYcV2WVRSDgEkhEACETdJq9Rrp2QdCaFWw9iZXVtxHNce06ZiERy2tNJIHDpI3DjQ"
        "G4gDpz33xJUTQkJI3JA4IA5IiAu8GTtKsrulUhGO4vfG8+b9fe/N+7D46YulnHzYsRAHXRxXnEFEKtsR7hPO5uqY"
        "4vOSv8PPfsR3eZkVUX8n4uzpSXEvoCQKsB9X+jjAOySKOVs85w+cnpGu4XiZzW0ngUMHAx92Z0McUQ/7sMFWj1Zl"
        "i/MgOheQa0guQHiPt3nZXT67y1kx6Hp9riuxSbnNVoKkHw5THf3EB91RhIfgBoqIMwhiGiUOFdZUKQgegE0pcofr"
        "uT1ey9v8Y6Fcz8NPvcndk0zt0mEoQmeK9yq/fSvdL7D869w0zYt/wyNfeg48uF0r57Inn1Elo4WMFjPKhcMlO/HA"
        "zQAiVGPfc4h0RFgXZm7C311wl8fxuo+NQj2e5Qv5nh1XZBCgZBWhcHgdJUHoOT2fILOuiZ1z2OmR7qE0p6cqXUwJ"
        "9foEzi/VM17LsnJx/3JnyRTOsFOTR2VS4oxw9sjonPVOPUvXqFKSwKOQOxGiQm8AYuFQEAWFsh4WG0k0CMkLl3Dk"
        "xdxYVfQcK2waFqSnzRPbfdw9JZBxn5rG5TRTjDEaRffZA1iA6ZqwKQ/kKaQyQ+e9b7/87sz6So7f3f9F0M9+uPDa"
        "c0D/OvGbKejdP69+Fa2vCPFdqAXbfR4UKA/E41/8bE1VzfsHquZN4dcVXjYsxcDHdcU4/ajxeYFQaVnRCw+uhCeP"
        "gFQ0kOg4tthMuRGeGSoqAtAxP+y1CosNyJO1mFaptZTSjprS9WdS+s2ZiSpWUR/HvftogwzYL40z4HpHdY06VjaD"
        "HOy4BNx019yEzUMAr7w8VVQuEyEsyBZGaXe6G6zY84IuZ3mPJ7EdJyJ9Bb34X4DbngDuUIGl5XTi6ws/3+Cb1atv"
        "zH//xbtWVYZRtauf3PujfHntUnVt79e39j9oVnmKZ1FXH9qhjYm75eAdc3CdmVP1mf/VXGHa3Iw++9DmXNEDLI8B"
        "QJubLC+QJDxrg1m9NFZMuZB8YnpcdMl1uI1sHMO8mkdiVjTFN6gY90emjnh5H92n8Et7IyeWrbZmbmk1q9kyUbPO"
        "2YL1NqprVsNqGg1Y1TpbVstotLO9RttomtqmXM2BpGa0OqbFWQn4822tA5+PjVi0VWuYWrvZgmvQbFkNGSDMMDFb"
        "zUSm7afpe3YUWoSDHRFbW9CJeNzfTZgcFOYozA1WjOkg5LoqGAJMXuok4gUjGzoFXBTxjyY76hOKZUKuwADClMLM"
        "hqE6g7Z9vCPZk9j3B9di1E1CGE9wySMf2wSG9y1osco/2bXqlQ=="
    ),
    "pandas 1.5.3, NumPy 1.23.5, protocol 5": (
        "eNqdVU2M20QUjp14d7s/pds2haJVy3Io4RKEhBBIBZImaZV67ZSsI6HSahg7k7UVx3HtcdtULAKJXVppJA4MiBsH"
        "egMh1NOekZC4ckIcuSFx4ISEuMCbsUN+tishfPB7Y8978733vvfmfe3TDxdz8mHrIQ66OC47w4iUexEeEM6O1THF"
        "l6X+CX/+A77LS6yABjsRZ+emt3sBJVGA/bg8wAHeIVHM2eolf+j0jXQN5iV2JjNBvmfHExvOnkBJEHpO3yfIFkaw"
        "m50MkkE4St2DSiLP4WwF9aLhwE56vdTlZ6Xc7KNkUs1kPpOFTHKmSb8gu3QUirCY6r3CH9z/iLd5Sc8z5SI3TfPq"
        "3/DIl56j3NYVXdvnTKlxCtvYkp14PvUCgK7FvucIN3oONinCi66Kt7vCTs3Ei6MIj8BiA6FwdHcSsVmvij+XsNMn"
        "XYFnYzqzqVW5iymh3oCA/Vo906UZGFw9uNFZM8WZ7Oy0qQwwzgQkeWxnXa9noY8rmgQehTyIeFR6j7NCOBJCRaGs"
        "22ojiYYheeEajryYGxuqnmP5LcOSyUhsVpwq1SCBxEjQwAAUEWcYxDRKHAqe3BNsEeBlsPXcHq8pNk8Tr6Qpdk8y"
        "1ZiUo+CemSsG4K0JoNJAoXwfQNgPaqXc7R+++vHCZjHHHx78KuTnP1959TmQf53+3RTy4Z+3vo42i2L7Lpxpu+fA"
        "gTpbMfei+7qA5VYOgWrNcOTdOY68IUDc5CXDUg18SleNZ04YX+QJlceoen6OGE8/psKiHUSjsNVmqo3LmxVJQ8AB"
        "zN3jE9Jbq5lcS2VHS+Xms6l8dCEjvVvUNYjqrCSvhgY47ktH2nTryDDtFydhum8/phEmfhaQgx2XADh33XXYMsB+"
        "+aUZZrm3BfAVyQ6UtptbZIW+F3ShlzyexHaciAzl9cJcIaaiPP3NlV/u8a3KrdeWf/ryHasiP1bsysff/VG6cf5a"
        "5fzeb28evNesSPy9qTId4s6/jZxGAAcXdO3og3NHzJb5tUjvrFtNX/j/bvNHul3QF/8bX68LLjIFQ5ZtbjJFpJvw"
        "jI6L+tK0F8rF3qdmp3mX3IXJYeMY7oBlFJA7qCm+iR7+lmljXc6OlJWHgCztjWEct9pVc7tas5otEzXrMMStt1C9"
        "ajWsptGAVa2zbbWMRjv712gbTbO6JVfHYGfVaHVMC2Yu6Jfb1Q58Xh+raLvWMKvtZgtGltmyGjJEVgjEfWUm+yJH"
        "j2Zn4ji0CAc7Ira2kFPxuN+bMNIpjijMJ1aI6TDkuiYUAooifRLxgmsQCA0QRfzj2xINCMUyITehzzClcA/uik7p"
        "+XhHqk9i3x/eiVE3CeHegIGMfGwTuAPvQyeU/wGtZp8I"
    ),
    "pandas 2.2.3, NumPy 1.26.4, protocol 5": (
        "eNqdVU2M20QUjp14d7vdlv5toWjVZTm04RKEhBBIBZImaZV67ZSsV6oK1TB2JmtrHce1x7SpWASHXVppJA4MiBsH"
        "eqPqgVOvcOLKCXHkhsQBcUBCXNo3Y5s42a6E8MHvjT3vzffe+96bj7UvyHxJPux4iIM+jmvOKCK1QYSHhLNDLUzx"
        "Jal/zl/6hO/wKqug4VbE2dnidi+gJAqwH9eGOMBbJIo5W7roj5xtI12DeZWdzkyQ79nxxIazZ1AShJ6z7RNkCyPY"
        "zU4EyTAcp+5BJZHncHYYDaLR0E4Gg9Tll9XS9KNkUs1kOZOVTHKmSb8g+3QcirCY6r3O7939lPd4VS8z5QI3TfPK"
        "Y3jkSy9RbuuKru1xpjQ5hW1swU48n3oBQNdi33OEG70EmxThRVfF2z3MTk7Fi6MIj8FiBaFwfHsSsdlqiD8XsbNN"
        "+gLPSjGzqVWtjymh3pCA/ZFWpkszMLiyOvdnxRRnsjNFUxlgnAlIcm5nXW9loecVTQKPQh5EPCq9w1klHAuholDW"
        "bamdRKOQvHwVR17MjRVVL7HyumHJZCQ2Wy6UaphAYiRoYACKiDMKYholDgVP7jE2D/Ay2HpplzcVm6eJV9IUuyeY"
        "akzKUXFPzxQD8DYFUGmgUL4HIOx7zWrpgx+//enc2nKJ33/0m5Bf/XL5jfMg/zn1hynk/b9vPojWlsX2HTjTds+C"
        "A3W6Yu4F9y0By63vA9Wd4siHMxx5W4C4wauGpRr4pK4aLxwzvi4TKo9R9fIMMZ5/SoVFO4hGYUudVMvLmxVJQ8AB"
        "zN2jE9JbS5k8kspNLZVrL6byu3MZ6d1lXYOozkjyamiI423pSCu2jgzTfmUSpvvuUxph4mcOOdhxCYDLe8l12CKA"
        "f+3VAr/iRKSgrFdmMl0I49TDy7/e4ev1m28u/vzN+1Zdfqzb9c9++Kv63urV+uru7+88+qhTlwAHhTrsI8e/nZpC"
        "hIMrunbwwaUDhsfsWuRv2q2mz/1/t+UD3c7p8/+NkNcF2ZiCYSTZ3GRKHxTCM77N6wtFL5SLvc9Nj+s+uQ2jwcYx"
        "DPlFFJBbqCO+iSZ9wLRcl8Mhpd0+IAu7OYyjVq9hbjSaVqdrok4LprR1DbUaVtvqGG1YNTc3rK7R7mX/2j2jYzbW"
        "5eoQ7GwY3U3TgqEK+qVeYxM+H89VtNFsm41epwszyexabRkiqwTiQjKTPZGjh9NDLw8twsGWiK0nZCEe93sTZjbF"
        "EYUBxCoxHYVc14RCQFGkTyJecM8BiwGiiD+/DtGQUCwTcgNYjymFi25HtMLAx1tSfRb7/uhWjPpJCBcDTFzkY5vA"
        "JXcXOqH2BA3ekic="
    ),
    "pandas 2.3.3, NumPy 2.2.6, protocol 4": (
        "eNqtVU2M20QUThw7u91uW1bblkJXLNtDSS9BSAiBBCJpklap107JeqWCqKZjZ3ZtreO49pg2FUVw2KWVRuLQQeLG"
        "gd5AHBBCPXMqR06II7dKPSAOSKiX8mZsK07aoj3gSH5v4vf7vZ/5VP0SzZXkw5ZCHAxwXHdGEalvRXhIODvQxhSf"
        "k/wdfuYzfpPXmIqG2xFnLxXFvYCSKMB+XB/iAG+TKOZs8aw/cnaM9AzqNXY8U0G+Z8cTHc6OoCQIPWfHJ8gWSiDN"
        "jgfJMBzXkbQ/THzq4SjCY7CLIuKMgphGiUOFpCYlOZsD41LkDtdLu7xVtvnnvM9rehl+2h53jzBtQMehyIUp3pv8"
        "9q30e4WV3+amaV54DI986SXK7dutWil7yhlVMlrJqJpRDuJs3k48CDOAhLTY9xwiAxHehRtdEW/3IFueQkFGDBor"
        "CIXj6xMczHZTfDmLnR0yEAGvFPFOteoDTAn1hgT0D7UzvplBcGG1+pdqCp/shaKqRCDOCECf61kftDNs8jongUcB"
        "KJGPQm9wpoZjQRQUymoudpJoFJJXL+LIi7mxouglVlk3LMCizxPbPewuiTK4y9NFOMEUYwK96q7MAA+uW8KnVChT"
        "vsezUnx0/9tfT68dK/G79x4I+tXv5996Beijo3+agt795+p30doxIX4TCm+7p8CAMg3+fwTVm+qHj2f64V0RxGVe"
        "MyzFwMu6Yrz8nPF1hVDpRtErMzV+8SnFEv0uJoEtdlMur1SGt4agnJg/GaIGh5OAgLWYNpt1KKWbWkrXTqX0h9OF"
        "ZtTQEMc7z7AG6dqvTdJ1339a82sTY1XkYMclEGY+QS5mC5DGG68XmiZOBBgVXd035lsFzJ9ohLTsR78//8cNvt64"
        "+s7Cb99csRoyqIbd+OLnv2sfrl5srO4+fO/eJ90GT0uh6tr+vJ8sTPfslM+eM9uaXv3/bFembVf1uf3ZviS6kJUx"
        "Z7DeTFYeAEN41ohz+nzRCuVC9sT0oh6Q6zD+No5hvS+ggFxDXfEflND9kWk5LxfAM/pxfjcP47DVb5obzZbV7Zmo"
        "2+bsoHUJtZtWx+oaHTi1NjesntHpZ986faNrNtfl6QBINo3epmlxNg/8uX5zE/5eylm00eqYzX63B3vH7FkdmSJT"
        "A3EVmcmewOin6cWWpxbhYFvk1he0kI/7iwl7meKIwlZmakxHIdc1wRBgytImES+44aCpIUSRf34RoiGhWAJyGYYA"
        "UwpXHIxDFW35eFuyz2PfH12L0SAJYfnDVkU+tglcb7dgMOr/AoZ+mJ4="
    ),
}
"""The same five rows as written by older versions: zlib, base64."""

TIMES = ["00:00:31", "00:02:10", "00:07:56", "00:09:29", "23:10:34"]
FRAME = pd.DataFrame(
    {
        "TRANSACTION_ID": np.arange(5),
        "TX_DATETIME": pd.to_datetime([f"2018-04-01 {time}" for time in TIMES]),
        "CUSTOMER_ID": pd.Series([596, 4961, 2, 4128, 927], dtype=object),
        "TERMINAL_ID": [3156, 3412, 1365, 8737, 9906],
        "TX_AMOUNT": [57.16, 81.51, 146.0, 64.49, 50.99],
        "TX_FRAUD": [0, 0, 1, 0, 1],
        "TX_FRAUD_SCENARIO": [0, 0, 1, 0, 3],
    }
)


def check(data: bytes) -> None:
    frame = load_frame(data)
    for name in FRAME.columns:
        values = frame.column(name)
        assert values.shape == (5,)
        if name == "TX_DATETIME":
            assert values.dtype.kind == "M"
        assert values.tolist() == FRAME[name].to_numpy().astype(values.dtype).tolist(), name


@pytest.mark.parametrize("writer", WRITTEN_BY)
def test_frames_of_older_versions_are_read(writer: str) -> None:
    check(zlib.decompress(base64.b64decode(WRITTEN_BY[writer])))


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    "change",
    [
        lambda frame: frame,
        lambda frame: frame.assign(TX_DATETIME=frame["TX_DATETIME"].astype("datetime64[ns]")),
        lambda frame: frame.assign(
            TX_DATETIME=frame["TX_DATETIME"].dt.tz_localize("UTC").dt.tz_convert("Asia/Tokyo")
        ),
        lambda frame: frame.assign(TX_DATETIME=frame["TX_DATETIME"].dt.tz_localize("UTC")),
        lambda frame: frame.astype({"TERMINAL_ID": "Int64", "TX_AMOUNT": "Float64"}),
        lambda frame: frame.astype({"TERMINAL_ID": "int64[pyarrow]"}),
        lambda frame: frame.astype({"TX_DATETIME": "timestamp[us][pyarrow]"}),
        lambda frame: frame.astype({"TX_AMOUNT": "double[pyarrow]"}),
        lambda frame: frame.astype({"TERMINAL_ID": ">i4", "TX_FRAUD": "uint8"}),
        lambda frame: frame.assign(
            CUSTOMER_ID=pd.Series([np.int64(n) for n in frame["CUSTOMER_ID"]], dtype=object)
        ),
        lambda frame: frame.set_index(["CUSTOMER_ID", "TERMINAL_ID"], drop=False),
        lambda frame: frame.set_index("TX_DATETIME", drop=False),
        lambda frame: pd.concat([frame, frame]).iloc[5:],
        lambda frame: frame[frame.columns[::-1]].copy(),
        lambda frame: frame.astype(object),
        lambda frame: frame.set_axis(pd.Index(frame.columns, dtype=object), axis=1),
        lambda frame: frame.set_axis(pd.Index(frame.columns, dtype="string[python]"), axis=1),
        lambda frame: frame.set_axis(pd.Index(frame.columns, dtype="string[pyarrow]"), axis=1),
    ],
)
def test_every_layout_pandas_writes_is_read(
    change: Callable[[pd.DataFrame], pd.DataFrame], protocol: int
) -> None:
    frame = change(FRAME)
    data = pickle.dumps(frame, protocol=protocol)
    loaded = load_frame(data)
    assert loaded.names == tuple(FRAME.columns) or set(loaded.names) == set(FRAME.columns)
    if frame["TX_DATETIME"].dtype == object:
        assert loaded.column("CUSTOMER_ID").tolist() == frame["CUSTOMER_ID"].tolist()
    else:
        check(data)


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("dtype", ["int64", object])
def test_blocks_in_column_order_are_read(dtype: Any, protocol: int) -> None:
    values = np.arange(10).reshape(5, 2).astype(dtype)
    rows = pd.DataFrame(values, columns=["a", "b"], copy=False)
    assert rows._mgr.blocks[0].values.flags.f_contiguous  # noqa: PD011 - a block
    frame = load_frame(pickle.dumps(rows, protocol=protocol))
    assert frame.column("a").tolist() == [0, 2, 4, 6, 8]
    assert frame.column("b").tolist() == [1, 3, 5, 7, 9]


def test_columns_nobody_asks_for_may_be_of_any_type_pandas_has() -> None:
    extra = FRAME.assign(
        text=["a", "b", "", "d", "e"],
        kind=pd.Categorical(list("ababa")),
        when=pd.Series(
            [pd.Timestamp("2020-01-01", tz="UTC"), pd.NaT, 1.5, pd.NA, pd.NA], dtype=object
        ),
        lasting=pd.Timedelta(seconds=1),
        yes=pd.array([True] * 5, dtype="boolean"),
        period=pd.period_range("2018", periods=5, freq="D"),
        between=pd.interval_range(0, 5),
        sparse=pd.arrays.SparseArray([0] * 5),
        wave=1j,
    )
    for protocol in (3, 4, 5):
        check(pickle.dumps(extra, protocol=protocol))


@pytest.mark.parametrize(
    ("dtype", "reason"),
    [
        ("boolean", "is a pandas.arrays.BooleanArray, which is not read"),
        ("bool[pyarrow]", "is of a pyarrow type that is not read"),
    ],
)
def test_a_column_of_a_type_that_is_not_read_says_so(dtype: str, reason: str) -> None:
    frame = load_frame(pickle.dumps(FRAME.astype({"TX_FRAUD": dtype})))
    with pytest.raises(UnpicklingError, match=reason):
        frame.column("TX_FRAUD")


@pytest.mark.parametrize("dtype", ["Int64", "int64[pyarrow]", "category"])
def test_what_is_missing_is_none_and_no_number(dtype: str) -> None:
    frame = FRAME.assign(TX_FRAUD=pd.Series([1, None, 0, 0, 0], dtype="Int64").astype(dtype))  # type: ignore[call-overload]  # its stub lists fewer
    values = load_frame(pickle.dumps(frame)).column("TX_FRAUD")
    assert values.tolist() == [1, None, 0, 0, 0]


class Opaque:
    """A class that no other process has."""

    def __init__(self) -> None:
        self.self = self


EXTRAS: dict[str, Callable[[], Any]] = {
    "bins": lambda: pd.cut(FRAME["TX_AMOUNT"], 2),
    "interval": lambda: pd.interval_range(0, 5),
    "decimal": lambda: [decimal.Decimal(1)] * 5,
    "many digits": lambda: [decimal.Decimal("1" * 1000)] * 5,
    "uuid": lambda: [uuid.UUID(int=1)] * 5,
    "set": lambda: [{1}] * 5,
    "frozenset": lambda: [frozenset([(1, 2)])] * 5,
    "tuple keys": lambda: [{(1, 2): 3, b"x": 4}] * 5,
    "other dictionaries": lambda: [OrderedDict(a=1), Counter("a"), defaultdict(list), {}, {}],
    "deque": lambda: [deque([1])] * 5,
    "path": lambda: [pathlib.PurePosixPath("a")] * 5,
    "enum": lambda: [signal.SIGTERM] * 5,
    "function": lambda: [os.system] * 5,
    "own class": lambda: [Opaque()] * 5,
    "zone": lambda: pd.Series(FRAME["TX_DATETIME"].dt.tz_localize("dateutil/Europe/Paris")),
    "zones": lambda: [dt.datetime(2018, 1, 1, tzinfo=zoneinfo.ZoneInfo("Europe/Paris"))] * 5,
    "offset": lambda: [pd.offsets.MonthBegin()] * 5,
    "period": lambda: pd.period_range("2018", periods=5, freq="M"),
    "complex": lambda: [1j] * 5,
    "frame": lambda: [FRAME] * 5,
    "arrow struct": lambda: pd.array(  # type: ignore[call-overload]  # its stub lists fewer
        [{"a": 1}] * 5, dtype=pd.ArrowDtype(pa.struct({"a": pa.int64()}))
    ),
}


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize("extra", EXTRAS)
def test_a_column_nobody_asks_for_decides_nothing(extra: str, protocol: int) -> None:
    values = EXTRAS[extra]()
    check(pickle.dumps(FRAME.assign(extra=values), protocol=protocol))
    labels = pd.Index(values, dtype=object) if isinstance(values, list) else pd.Index(values)
    check(pickle.dumps(FRAME.set_axis(labels), protocol=protocol))
    frame = FRAME.copy()
    frame.attrs = {"made by": values}
    check(pickle.dumps(frame, protocol=protocol))


@pytest.mark.parametrize(
    "index",
    [
        pd.date_range("2018-04-01", periods=5, freq="MS"),
        pd.bdate_range("2018-04-01", periods=5),
        pd.date_range("2018-04-01", periods=5, freq=pd.offsets.CustomBusinessDay()),
    ],
)
def test_the_frequency_of_an_index_decides_nothing(index: pd.Index) -> None:
    check(pickle.dumps(FRAME.set_index(index)))


@pytest.mark.parametrize("times", [2, 1000])
def test_an_arrow_chunk_is_there_once(times: int) -> None:
    """A few bytes name the same chunk again; its text would take memory each time."""

    class Chunks(list[Any]):
        def __reduce__(self) -> Any:
            return pa.chunked_array, (list(self), pa.string())

    chunk = pa.array(["x" * 1000] * 5)
    frame = Reduced(pd.arrays.ArrowExtensionArray, (), {"_data": Chunks([chunk] * times)})
    node = pickle_program.parse(pickle.dumps(frame))
    with pytest.raises(UnpicklingError, match="a chunk that is there twice"):
        pickled_frame._values(node)


def test_text_of_a_fixed_width_is_no_category() -> None:
    """One category of a megabyte would be a megabyte for each byte of codes."""
    node = pickle_program.parse(pickle.dumps(np.array(["x"], dtype="S9"), protocol=5))
    kind = pickle_program.Call(pickle_program.Name("", "CategoricalDtype"), ())
    label = pickle_program.Name("index", "_new_Index")
    kind.state = {"categories": pickle_program.Call(label, (None, {"data": node}))}
    codes = pickle_program.parse(pickle.dumps(np.zeros(5, dtype="i1"), protocol=5))
    values = pickle_program.Call(pickle_program.Name("categorical", "Categorical"), ())
    values.state = {"_dtype": kind, "_codes": codes}
    with pytest.raises(UnpicklingError, match="has categories that are not read"):
        pickled_frame._values(values)


def test_a_pickle_of_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty list takes one byte of the file and a hundred of the memory."""
    monkeypatch.setattr(pickle_program, "MAX_OPCODES", 1000)
    with pytest.raises(UnpicklingError, match="has more than 1000 parts"):
        load_frame(b"\x80\x05" + b"]\x940" * 500 + b".")
    with pytest.raises(UnpicklingError, match="holds a list"):
        load_frame(b"\x80\x05" + b"]\x940" * 300 + b"].")


def test_reading_a_pickle_does_not_import_pandas() -> None:
    code = (  # in a fresh process: this one has pandas
        "import sys; from workload.readers.pickled_frame import load_frame; "
        "load_frame(sys.stdin.buffer.read()).column('TX_AMOUNT'); "
        "assert 'pandas' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], input=pickle.dumps(FRAME), check=True, timeout=60)


INERT = """
os.system posix.system nt.system os.popen os.execv os.remove pty.spawn platform.popen
builtins.eval builtins.exec builtins.compile builtins.__import__ builtins.open builtins.setattr
builtins.getattr builtins.map builtins.apply builtins.globals builtins.memoryview builtins.bytes
builtins.object builtins.type builtins.list builtins.set builtins.print builtins.breakpoint
subprocess.Popen subprocess.check_output shutil.rmtree importlib.import_module runpy.run_path
pickle.loads _pickle.loads pickle.Unpickler marshal.loads copyreg._reconstructor copyreg.__newobj__
codecs.encode codecs.decode _codecs.encode _codecs.decode types.FunctionType types.CodeType
operator.attrgetter operator.methodcaller operator.itemgetter _operator.attrgetter
functools.partial functools.reduce functools.partialmethod itertools.starmap
ctypes.CDLL pathlib.Path pathlib.PosixPath tempfile.mktemp socket.socket webbrowser.open
timeit.timeit pdb.run code.interact numpy.load numpy.fromfile numpy.zeros numpy.frompyfunc
numpy.memmap numpy.core.memmap.memmap numpy.testing._private.utils.runstring numpy.vectorize
numpy.core.multiarray.fromfile numpy._core.multiarray.frombuffer
numpy.random._pickle.__generator_ctor
pandas.read_pickle pandas.io.pickle.read_pickle pandas.eval pandas.core.computation.eval.eval
pandas.read_csv pandas.DataFrame.query pandas.core.frame.DataFrame.eval pandas.read_sql
pandas.core.internals.blocks.Block pandas._libs.internals.SharedBlock
pandas.compat.pickle_compat.loads pyarrow.lib.foreign_buffer
pyarrow.lib.memory_map pyarrow.lib.OSFile pyarrow.py_buffer
zoneinfo.ZoneInfo.from_file joblib.load __main__.anything workload.readers.pickled_frame.load_frame
""".split()  # noqa: SIM905 - ninety lines as a list


@pytest.mark.parametrize("name", INERT)
def test_any_other_global_is_a_name_and_nothing_else(name: str) -> None:
    module, _, attribute = name.rpartition(".")
    by_line = f"c{module}\n{attribute}\n".encode()
    texts = [b"\x8c" + bytes([len(text)]) + text.encode() for text in (module, attribute)]
    by_stack = b"".join(texts) + b"\x93"
    for named in (by_line, by_stack):
        for use in (b")R", b"(K\x01tR", b")\x81", b")}\x92", b""):
            with pytest.raises(UnpicklingError) as refusal:
                load_frame(b"\x80\x04" + named + use + b".")
            assert str(refusal.value) == f"holds a {name}, not a DataFrame"
        frame = load_frame(frame_of(named + b")R"))
        with pytest.raises(UnpicklingError, match=f"is a {re.escape(name)}, which is not read"):
            frame.column("A")


class Reduced:
    """Pickles as whatever it is given: function, arguments, state, items."""

    def __init__(self, *reduced: Any) -> None:
        self.reduced = reduced

    def __reduce__(self) -> Any:
        return self.reduced


@pytest.mark.parametrize("protocol", [3, 4, 5])
@pytest.mark.parametrize(
    ("hide", "read"),
    [
        (lambda trap: trap, False),
        (lambda trap: FRAME.assign(x=pd.Series([trap] * 5, dtype=object)), True),
        (lambda trap: FRAME.assign(x=pd.Series([{trap}] * 5, dtype=object)), True),
        (lambda trap: FRAME.assign(x=pd.Series([OrderedDict(a=trap)] * 5, dtype=object)), True),
        (lambda trap: FRAME.set_axis(pd.Index([trap] * 5, dtype=object)), True),
        (lambda trap: FRAME.assign(TX_AMOUNT=pd.Series([trap] * 5, dtype=object)), False),
        (lambda trap: Reduced(pd.DataFrame, (), {"_mgr": trap}), False),
        (lambda trap: (FRAME, trap), False),
    ],
)
def test_nothing_runs_wherever_it_is_hidden(
    tmp_path: Path, hide: Callable[[Reduced], object], read: bool, protocol: int
) -> None:
    target = tmp_path / "touched"
    data = pickle.dumps(hide(Reduced(os.system, (f"touch {target}",))), protocol=protocol)
    if read:
        check(data)
    else:
        with suppress(UnpicklingError):
            values = load_frame(data).column("TX_AMOUNT")
            assert {repr(value) for value in values} == {"<posix.system>"}
    assert not target.exists()
    with suppress(Exception):
        pickle.loads(data)  # the trap was live
    assert target.exists()


def name(qualified: str) -> bytes:
    module, _, attribute = qualified.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        # Replacing parts of pandas for the rest of the process: state of a class or a function.
        (
            name("pandas.DataFrame") + b"}\x8c\x04evilK\x01sb",
            "sets the state of a pandas.DataFrame",
        ),
        (
            name("pandas.core.internals.blocks.new_block") + b"N}\x8c\x04evilK\x01s\x86b",
            "sets the state of a pandas.core.internals.blocks.new_block",
        ),
        # The same of a second time, and of values.
        (name("pandas.DataFrame") + b")R}b}b", "sets the state of a Call"),
        (b"]}b", "sets the state of a list"),
        # Calls of what a call gave, of values, and with something else than a tuple.
        (b"\x8c\x01x)R", "calls a str"),
        (name("pandas.DataFrame") + b"]R", "calls something with a list"),
        # Methods of objects behind the opcodes for lists and dictionaries.
        (name("pandas.DataFrame") + b")RK\x01a", "appends to a Call"),
        (name("pandas.DataFrame") + b")RK\x01K\x02s", "sets items of a Call"),
        # Methods behind getattr and partial, and calls of what calls gave.
        (
            name("builtins.getattr") + name("pandas.DataFrame") + b"\x8c\x04eval\x86R)R",
            "holds a Call",
        ),
        (name("functools.partial") + name("os.system") + b"\x85R)R", "holds a Call"),
        (b"]\x91(K\x01\x90", "damaged"),
        (b"](K\x01\x90", "adds items to a list"),
        # Opcodes that reach outside: persistent ids, the extension registry, buffers, old classes.
        (b"K\x01Q", "opcode b'Q'"),
        (b"Pid\n", "opcode b'P'"),
        (b"\x82\x01", "opcode"),
        (b"\x83\x01\x00", "opcode"),
        (b"\x84\x01\x00\x00\x00", "opcode"),
        (b"\x97", "opcode"),
        (b"(ios\nsystem\n", "opcode b'i'"),
        (b"(" + name("pandas.DataFrame") + b"o", "opcode b'o'"),
    ],
)
def test_no_opcode_reaches_past_the_list(program: bytes, reason: str) -> None:
    before = dict(vars(pd.DataFrame))
    with pytest.raises(UnpicklingError, match=reason):
        load_frame(b"\x80\x05" + program + b".")
    assert dict(vars(pd.DataFrame)) == before


def frame_of(values: bytes, placement: bytes = b"") -> bytes:
    """Return a frame with the one column A; `values` is the program of its block's values."""
    placement = placement or name("builtins.slice") + b"K\x00K\x01K\x01\x87R"
    labels = (
        name("numpy._core.multiarray._reconstruct")
        + b")R(K\x01K\x01\x85"
        + name("numpy.dtype")
        + b"\x8c\x01O\x85R(K\x03\x8c\x01|tb\x89]\x8c\x01Aatb"
    )
    index = name("pandas.core.indexes.base._new_Index") + name("pandas.Index")
    index += b"}\x8c\x04data" + labels + b"s\x86R"
    block = name("pandas._libs.internals._unpickle_block") + values + placement + b"K\x02\x87R"
    manager = name("pandas.core.internals.managers.BlockManager")
    manager += block + b"\x85]" + index + b"a\x86R"
    return b"\x80\x05" + name("pandas.DataFrame") + b")R}\x8c\x04_mgr" + manager + b"sb."


def array(raw: bytes, shape: bytes, dtype: bytes = b"\x8c\x02i8") -> bytes:
    return (
        name("numpy._core.numeric._frombuffer")
        + b"("
        + raw
        + name("numpy.dtype")
        + dtype
        + b"\x85R(K\x03\x8c\x01<tb"
        + shape
        + b"\x8c\x01CtR"
    )


EIGHT = b"C\x08\x05\x00\x00\x00\x00\x00\x00\x00"
TERA = b"\x8a\x06\x00\x00\x00\x00\x00\x01"  # 2**40
MASKED = name("pandas.arrays.IntegerArray")


def doubled(times: int) -> bytes:
    """Return masked arrays whose data and mask are the same masked array, and so on."""
    program = array(b"C\x08" + bytes(8), b"K\x01\x85") + b"\x940"
    for number in range(times):
        known = b"h" + bytes([number])
        program += MASKED + b")R}(\x8c\x05_data" + known + b"\x8c\x05_mask" + known + b"ub\x940"
    return program + b"h" + bytes([times])


def test_the_hand_made_frame_is_read() -> None:
    assert load_frame(frame_of(array(EIGHT, b"K\x01K\x01\x86"))).column("A").tolist() == [5]
    assert load_frame(frame_of(array(EIGHT, b"K\x01\x85"))).column("A").tolist() == [5]


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x05\x96" + (1 << 40).to_bytes(8, "little") + b".",  # bytearray
        b"\x80\x05\x8e" + (1 << 40).to_bytes(8, "little") + b".",  # bytes
        b"\x80\x05\x8d" + (1 << 40).to_bytes(8, "little") + b".",  # text
        b"\x80\x05\x95" + (1 << 40).to_bytes(8, "little") + b".",  # frame
        b"\x80\x05\x8b" + (1 << 30).to_bytes(4, "little") + b".",  # integer
        b"\x80\x05Nr\xff\xff\xff\xff.",  # memo entry 2**32 - 1
        frame_of(array(name("builtins.bytearray") + TERA + b"\x85R", TERA + b"\x85")),
        frame_of(array(name("pyarrow.lib.py_buffer") + TERA + b"\x85R", TERA + b"\x85")),
        frame_of(array(EIGHT, TERA + b"\x85")),
        frame_of(array(EIGHT, b"K\x01" + TERA + b"\x86")),
        frame_of(array(b"C\x00", TERA + b"\x85", b"\x8c\x02S0")),
        frame_of(array(b"C\x00", TERA + b"\x85", b"\x8c\x02V0")),
        frame_of(array(EIGHT, b"K\x01\x85", b"\x8c\x0dS999999999999")),
        frame_of(array(EIGHT, b"J\xff\xff\xff\xffJ\xff\xff\xff\xff\x86")),
        frame_of(
            array(EIGHT, b"K\x01\x85"), name("builtins.slice") + TERA + TERA + TERA + b"\x87R"
        ),
        frame_of(MASKED + b")R}(\x8c\x05_data" + TERA + b"\x8c\x05_mask" + TERA + b"ub"),
        frame_of(doubled(60)),
        frame_of(name("pandas.arrays.ArrowExtensionArray") + b")R}\x94\x8c\x05_datah\x00sb"),
        frame_of(
            name("pandas.arrays.ArrowExtensionArray")
            + b")R\x94}\x8c\x05_datah\x00sb"  # contains itself
        ),
        b"\x80\x05" + name("pandas.DataFrame") + b")R\x94h\x00b.",  # is its own state
        b"\x80\x05}" + b")" + b"\x85" * 200_000 + b"K\x01s.",  # hashing it overruns the stack
        b"\x80\x05" + b"]" * 500_000 + b"a" * 499_999 + b".",
        b"\x80\x05" + b"(" * 500_000 + b".",
        b"\x80\x05]\x94h\x00a.",
    ],
)
def test_a_few_bytes_cannot_take_memory_time_or_the_stack(data: bytes) -> None:
    with pytest.raises(UnpicklingError):
        load_frame(data).column("A")


def test_a_frame_of_too_many_columns_is_refused() -> None:
    frame = pd.DataFrame(np.zeros((1, 1001)), columns=[f"c{n}" for n in range(1001)])
    with pytest.raises(UnpicklingError, match="more than 1000 columns"):
        load_frame(pickle.dumps(frame))


def test_strings_that_overlap_are_refused() -> None:
    """A thousand names, each the whole text, would be a thousand times the file."""
    frame = FRAME[["TX_AMOUNT"]].set_axis(pd.Index(["A" * 1000], dtype="str"), axis=1)
    data = pickle.dumps(frame)
    bounds = np.array([0, 1000], dtype="<i8").tobytes()
    assert data.count(bounds) == 1
    with pytest.raises(UnpicklingError, match="string bounds"):
        load_frame(data.replace(bounds, np.array([1000, 0], dtype="<i8").tobytes()))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is not a pickle"),
        (b"\x80", "is damaged"),
        (b"PK\x03\x04", "is not a pickle of protocol 3 to 5"),
        (pickle.dumps(FRAME, protocol=2), "is not a pickle of protocol 3 to 5"),
        (b"\x1f\x8b" + bytes(20), "is compressed"),
        (pickle.dumps(FRAME)[:-1], "ends in the middle"),
        (pickle.dumps(FRAME)[:200], "ends in the middle"),
        (pickle.dumps(FRAME["TX_AMOUNT"]), "holds a pandas.Series, not a DataFrame"),
        (pickle.dumps({"a": 1}), "holds a dict, not a DataFrame"),
        (pickle.dumps(np.zeros(3)), "holds a numpy.* not a DataFrame"),
        (pickle.dumps(functools.partial(print)), "holds a functools.partial, not a DataFrame"),
    ],
)
def test_what_is_not_a_frame_is_told_apart(data: bytes, reason: str) -> None:
    with pytest.raises(UnpicklingError, match=reason):
        load_frame(data)


def test_columns_whose_names_are_not_strings_are_nameless() -> None:
    assert load_frame(pickle.dumps(pd.DataFrame([[1, 2]]))).names == ()
    mixed = pd.DataFrame([[1, 2]], columns=pd.Index(["a", 7], dtype=object))
    assert load_frame(pickle.dumps(mixed)).names == ("a", "")
