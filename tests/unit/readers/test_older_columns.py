"""Frames whose columns are Arrow's, or categories, as older versions of pandas pickle them."""

from __future__ import annotations

import base64
import zlib

import pytest

from workload.readers.pickled_frame import load_frame

ARROW = {
    "pandas 1.5.3, pyarrow 10, protocol 5": (
        "eNqtVk1sG0UU9jreOH8NSVuXlkNDkCiukCyQUAUSCLuOW9yt19R2pB6Ihtn1OLNkvXb3h9SIIjiktNJIHBgQNw70"
        "BuLAqWdOvXJCHLlV4oAQQkJc4M3s2Nl1EiIhVorfm9k3b977vpf39kP9s/Z8Rj5sdYi9Lg5K9sAnpZ6P+4Sz+Q0c"
        "4itS/5Rf/Ijf4UWWQ/1tn7PzSXPHC4nvYTco9bGHt4kfcLZ02R3YO414DceL7Iw6glzHCvbPcPYEiryhY++4BFni"
        "EFizk17UH45i96AS37E5W0Q9f9C3ol4vdvl5MZN+NCWzSs4omVOSM136BdkNR0ORFss6L/P79z7mLV40Zpj2KjdN"
        "89rf8MgfIxNyy9AM/S5nWpWHYMbmrMhxQ8eD0PXAdWzhxsiAkSa8GFnxSxfTEGHfx6NAiMFuvODsVEWsardD4gXO"
        "wKvI3QnQOuoC+pD0cBSfAtg4O2HTyNshXYSV9RanF9ky8kkQwj2T7SLszodOH7ZxfyjzhHjNuyJAHYLNbPGiKWyG"
        "IzQBdB/Pdx99/cOF9UKGP3j4WMgvfrr6ynMg/zr9qynkgz9vfeOvF/ge+CNb3AylhukL9EV5h/hjsygG+V+QUAYL"
        "EokNRYkCIC8ygurhLK8ggPSVpjxP7oO7bGxTIg8uSo7HJidZtrHPcI6emeIXTlQFNoI/QwshdGCc5XYcrwuUN3gU"
        "WZFFz8PLbJpg+mwcKC3S54GFkoB8WdyJegMfYdfBgcBdh0q/9JLEJ4H8pQnWHVWs+FS6dp9eieWXqogPYG0lXQsQ"
        "6GVaUyG9Qev0WtqCNsSLJi3Qm0xzJmlljZnj0rKOz2FJyROx3NRjuf5MLL+78L/nQEfjDGaM3PEZzHYHkeWSo1M4"
        "/e3Vn9/j18u3Xlv48au3O2W5WbbKn3z/R/GttTfLa3u/3Hj4Qb18SApJ30fkkDQZJwGF2Uu0ngOFCWUoqOpNqMpB"
        "4OlElw+2wOlWOL3mtBC3M3pONDNwqxuz/93tzJFuZ438VENcO6QNBKHveNtI/XuvyD7QlnvpdpjiMj50kMuzU4Fm"
        "VYCi/evj8gM7VZ0ZbNldchihiQtiQtlTR8cOLTqOONW/BPVBzFvemEsiEULPLrKz6QHaJbdJULJwILoh8sguqos9"
        "8EZ/Y/pYlwM4HguFxIDsRzCO1FBZglFgDzyILbJDcXyF5eEiBaaR2eNVzeJxzWnG3J5skM3UCHx/agS+DpV4X8S8"
        "3GlVzHal2qk3TVTfgMQ7N9FGpVPr1Bs1WFU3251mo9ZS72qtRt2sXJerebCsNJqbZgfmJ+hXWpVN2F4dq6hdrZmV"
        "Vr3JWc5sdmqcyC7siW8PM5Ik/M7OHYaZjz0xIxZaQiaAemcVSsCECR1iP4TEWQ7myRAKRigEFE26JXJ85BBwB1EK"
        "bMcfP6hPQizB3oIujsMQPmvuiEnTc/G2VJ/ErjvYDVA3GsJnAA4JcrFF4JPmXhBZpX8ABr4+Sw=="
    ),
    "pandas 1.5.3, pyarrow 10, in two chunks": (
        "eNqtVk1sG0UU9t/mt00bpYFAgTQ9FFcCI1UFASrCxnErs/EanA0CqWGYXY8zm6zX7v4kNaIIDimtNBKHDhIHJA70"
        "VsSBU8+cuHKqeuSGxIETEuICb2bHrtdNCsKs5X0zs+9vvvl23/sk98XTsyl5sfku9po4KNgdnxRaPm4TzqZXcYgv"
        "yvEtfvZTfo3nWQ61t3zOnhlWd7yQ+B52g0Ibe3iL+AFnR95wO/ZOLZ6DeZ49pkyQ61jBAxvOjqHI6zr2jkuQJYxA"
        "my16Ubvbi923Izd0sO/jHrhFPrE7XhD6kR0KRU0qcjYJvqXKLa6n9nk5bfHPeIPn9TT8tOucHmNaM+x1xVZYxnmZ"
        "37wRP8+y9AVuGMabf8Elb3oq5NbNcj6lrrSSGSWzSuaU5KDOpqzIgTQ92I8WuI5NZCIiugijZ8SdziZxkwkHQnT2"
        "CmqDCyUxq1wNiRc4Ha+k9qTQ11ATjoSz2W4vtgIsOTtq08jbIU3UR2CT5+nzbA6wCkIINFgXq9Oh04Zl3O5KJCBh"
        "47rMELJNgaEhdLo9ZEWtljw5eopNW72Q9J0AMLs/3vnpzMpiit+++4uQX96/9MqzIP888Zsh5O0/rnzrryzyfXAs"
        "/mSTG6Ec0XN5ep6+GIfMQsiMDPkqvTCWWzJwKv5sAsVH/Qi4lcKMhHtVEUOhPClQA94CqxTOgLEaKc+DeBDLxjYl"
        "0nBWkrGvssQytQc8y9GnRlgGFmWBv6RoOoTUBZFyO47X5Cxd41FkRRY9DQ8zSRbRs3Gi9Dn6gjjqc/K0RVDU6vgI"
        "uw4O5LsBL9lL5yVAQ8crsTYVmfFCktunjsfya0XyQ45wN+F75BzH8E2SngXA9B36ntruZbpJ309qUCwe2PQkdVna"
        "GUCWgZz+CbLdR+JzJM7RPBrLDS2WK6dj+f2ZMfD5777HwYd+1Ucnq+f+BToTzU5kueRAeE58d+nnD/la8cprM/e+"
        "+cAsynyLVvHzH37PX15+q7i8/+vbdz+uFg+FJ+F8BJ8xnJMR14cANKzSRwje1tZQVXjobYV3U3CsNeBYTtdGUJyj"
        "86L20IVk5Tk5VEtGa8roXHwCwLemT/x/vrNJ3xP65EhRWj7gKwkV1vG2kPr6HZefyXW5lixJScrEVgdRZqmfWUZl"
        "JKqnNsxyqaZhy26Sw2kzHCBJm3EDkBH3MXXYk4djA2U4RiRRPgTJgpghk/rUMNKhqMtsKdk5NclVEhQsHIhihDyy"
        "h6piDbxtr8FumNafyuZLVv+HuTC1L6tNPdHVfDTS1bwuuhqRwZzZKBnrpbJZrRuougrbMN9FqyWzYlZrFZiVN9bN"
        "eq3SUM8qjVrVKK3J2TRolmr1DcPkbArGFxulDVie7w/RerlilBrVOmc5o25WOJElzRMtpBEJSLcNsasnDgLBx56o"
        "uTMNIYe2vd0CEwPaqhD7ITRVLAf1uct1TQwIDNLSM5HlOIfgMCBRgVS/jUVtEmIJ3SYURRyG0KBeE5W75eItOXwc"
        "u25nL0DNqAu9Gw4JcrFFoDm9EURW4W93Hdyb"
    ),
    "pandas 2.0.3, pyarrow 12, protocol 4": (
        "eNqtVk2IHEUUnr/e32STsFndGHGzQeIEdIIimoDCjDOzYdKZ3mS2Bwy4lNUzNVvN9vRMuqvdjBDRw8YECjykBG8e"
        "zE1R8JSjePLqKXhTT4IHT4IIoq+qa2L3ZhwE7aXnVfe+evV97736qt8tfPjFXEZd/NgQ+10cljqDgJR6Ae4Twedr"
        "mOENNb4rzr4nbooiL6D+TiD4U0l312ck8LEXlvrYxzskCAU/9Jo36Ow242eYXuSP6SnIc53w7zmCH0GRP3Q7ux5B"
        "jpwE3nzFj/rDURy+H3nMxUGARxAWBaQz8EMWRB0mHQ3lKPgsxFYud4WZ2RfVrCPeFy1RNLPwZ9wS9Ag3umw0lFR4"
        "zj0v7tyO/5/n2VeEZVmX/oRL/ZgZJpw71WJGX1ltc9rmtS1oK8CdzzmRCzB94GOEntshCohcXS5j5uQvXUznTQEO"
        "pRnslTTB5Yp8qt9gxA/dgV/RnHT2DdSFkgi+OBzFsyCXgi9BUkIGEdE4BUX6HJ9nbh9e4/5QUQZk1i0JxQBYmW1R"
        "tKTPcIScqNdTJaKn+LwzYmQcBDLw1jeffntmfSUj7t3/SdqPvrt44Rmwvx//xZL23m/XPwvWV8Q+BJY32RYWUyM+"
        "g+J0T6GsHRYU5ZoujmY6KwlB70BlNVfBD+uRjkyfpy8oSrBWB3cogYm8sOv6XcGzTRFGTuTQ01CCXLoI9Gy8Bn2W"
        "npOJWpLRUG8QIOy5OFRdBe350ouKSCJfL9ML1aKt2wAvp7vi1NHYfqzbY0JOaJVu6KUb9BI16bXkQtSSvBdVP48Z"
        "nqRXeNYVkaaSM/PTqFybivtQjMs+HNu2Edv107H98sx/wU37Eiv1x0jzZmE60pnuIHI8MhHq8c8v/vC2uFy+/urC"
        "g0/etMsKV9kpf/D1r8U31q6U1/Z/vnr/nUb530FNrjTGuspzvYQE0CcfFQCZ+d7DzBcAY5rPEj0mhYYup2XmZEI4"
        "DgrIwWcpHBDbMGf+v9j5dOwZc/aAAq1N2I4gp66/g/Q2O6r245Z6l9afh8WLJ0wq3uoYVE6DkSppJPtKuRnY6XTJ"
        "xALyJ/4ZIShfjCulFrLUYVynWXMuyZcJAMZX04dVl9wgYcnBodQe5JM91JDvpAJ+z43xWB12Sm3pV1PYz6XYPy3Z"
        "L8F9Am75cA7u87J74b4qd90jmWjbrYq1VanajU0LNWr266hWset2o1mvtrfszWa9Jd/WW82GVbkcO1Sam23LhsFG"
        "q9KujS3aqtatSgvCbNr1yVvjQSpdvODLo92KpIbSH/mJSWkKsC9FeKElbSI39A8LDjqGAwbHHC+AWg+hFeSAwCCr"
        "YhIlzgUEtYKPCZnL8YcF6hOGVXK3QWwxY/DJcFPqeM/DO2r4OPa8wV6IutEQTlPMCPKwQ+Bz4TboeukvJVgCOg=="
    ),
    "pandas 1.5.3, categories": (
        "eNqtVUFsG0UU9a534zZt2oY0UNRASQ7FkZClSgVRFYS3tlu5W6+Ls5ZQ1WiYXU+8q6zXzu4sbRBFcEjaSCNxyCBx"
        "40BvIA6ccubUa08VR25IPdBLpaoX+LO7xuvUERViLPnP7Pz/5s9////5Svn2SSEXDzY7wH4HhyW7H5DSWoB7hLPD"
        "VUzx5Xi+y5e/5nd4kSmo1w04ezOr7vqUBD72wlIP+7hLgpCzo5e8vr3eSNZgXmSvpibIc61wZMPZcRT5A9de9wiy"
        "hBFos3k/6g02E/he5FEXBwHeBFgUELvvhzSIbCoU1ViRswJgxyq7XM9t8Ypk8bu8xYu6BD91mzvHmdqhmwNxFSa7"
        "7/Ode8l+nkkfcMMwrv4FI/7Tc5RbO5ViLh1SKuVU5lOppJKDOjtkRS646cN91NBzbRI7Ik4Xx+iy+HeOsLmxIMQe"
        "g8UCQoPN26MwGFVN7FzC9jrpCIfHwp1YlWxMSbcfuDb2ODtSyax2+dW9m+0ZQ5zJXs+axhEIU8HZiYxVNQ1OyvP0"
        "EF7ovTHOdofcFiCgQN2e2H8F+eQWqqYf6kIBkJx32cz+b3EKgSXmzjJbmHCrDOo/xlpK7OhWzikmN0YcKs7CPgbh"
        "nIoMZMT0S5RvC5KcY86sSA5nbpga6tZ/hBLp8dmDHx+eXZzP8ft7fwj53W9XLrwN8vnJPw0h7z/b+ClYnBfqdyAr"
        "0FpANrgR3oVsUXxRVEa0LRgq9IMOCYDonehgF91z2Yz9YmLGqjlJzivJeXCKswTm8ngCOsvOO5kwnkvYds6zU5Mo"
        "tnAIbWA6ZnfIIDs9SROqkEAagXLdp++dz9DtXJx8p9MQwmFFmenk+7S03jqRSDw3qjDnRhIuZ/XAMHUgBJKSy8vZ"
        "EMh6fl8IXrBNGoRwyDyaOjSTyLaayMWlRP5yNuPQEiArL4cNBK5lWs4LOZZk1Mmfr/z+Ob9W3vhw+tEPn5rl+Kiy"
        "Vf7m16fFm2eul89sPf5478t6OT1d0dWXv1lu35AOWKfYqj71/2Hnx7Gn9EIWm/JVyJLICZn6L2lTSEqhmY0kGY/k"
        "RyKSgMeOmS3NWNEqZr1poHoVOqT5CapqZs2sN2qiX7ZXzGaj1kr3aq1G3dCuxavDoKk1mm3D5OwQzC+3tDZ8nh1O"
        "0UqlZmitepOTbF5G4612WBkB9ruiiFpCZi94w4CXguKAwjvBlJD2B1xXxYTARIoxSdwfFAStGdwSbXP4MqMeoTju"
        "o6vQWjCl8OZCk5lCax7uxtPXsOf1b4WoEw3gOYJOijxsEXhv74WRVfobLrPLig=="
    ),
}
"""The same five rows: zlib, base64."""

ROWS = {
    "TRANSACTION_ID": [0, 1, 2, 3, 4],
    "CUSTOMER_ID": [596, 4961, 2, 4128, 927],
    "TERMINAL_ID": [3156, 3412, 1365, 8737, 9906],
    "TX_AMOUNT": [57.16, 81.51, 146.0, 64.49, 50.99],
    "TX_FRAUD_SCENARIO": [0, 0, 1, 0, 3],
}
SECONDS = [31, 130, 476, 569, 83_434]


@pytest.mark.parametrize("writer", ARROW)
def test_columns_of_older_versions_are_read(writer: str) -> None:
    frame = load_frame(zlib.decompress(base64.b64decode(ARROW[writer])))
    for name, values in ROWS.items():
        assert frame.column(name).tolist() == values
    moments = frame.column("TX_DATETIME").astype("M8[s]").astype(int) - 1_522_540_800
    assert moments.tolist() == SECONDS
    if "NOTE" in frame.names:
        assert frame.column("NOTE").tolist() == ["a", "b", "c", "d", "e"]
