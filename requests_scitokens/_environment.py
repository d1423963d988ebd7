"""Every variable, and every place where a token is looked for, once.

It is read while Python starts, so it imports nothing.
"""

AUTOPATCH = "REQUESTS_SCITOKENS_AUTOPATCH"
HOSTS = "REQUESTS_SCITOKENS_HOSTS"
LOG = "REQUESTS_SCITOKENS_LOG"
SETTINGS = (AUTOPATCH, HOSTS, LOG)

#: What a setting can say that is switched on or off.
ON = ("1", "true", "yes", "on")
OFF = ("", "0", "false", "no", "off")

# What a place holds.
TOKEN = "token"  # the token itself  # noqa: S105
FILE = "file"  # the path of a file
DIRECTORY = "directory"  # a directory with one file for each service: HTCondor's
OWN_FILE = "own file"  # a directory with one file for each user, which that user must own


class Place:
    """A place where a token is looked for.

    Attributes
    ----------
    kind : str
        What is there.
    variable : str
        The variable that says it, if there is one.
    path : str
        Where it always is, if there is none.
    name : str
        The place as a person would name it.
    """

    def __init__(self, kind: str, variable: str = "", path: str = "") -> None:
        self.kind = kind
        self.variable = variable
        self.path = path
        self.name = f"${variable}" if variable else path


#: In this order: WLCG Bearer Token Discovery 1.0, with what SciTokens' and IGWN's tools
#: document (`SCITOKEN`, `SCITOKEN_FILE`) and HTCondor's directory in between.
PLACES: "tuple[Place, ...]" = (
    Place(TOKEN, "BEARER_TOKEN"),
    Place(FILE, "BEARER_TOKEN_FILE"),
    Place(TOKEN, "SCITOKEN"),
    Place(FILE, "SCITOKEN_FILE"),
    Place(DIRECTORY, "_CONDOR_CREDS"),
    Place(OWN_FILE, "XDG_RUNTIME_DIR"),
    Place(OWN_FILE, path="/tmp"),  # noqa: S108, where WLCG's rule has it
)
