import sys

from requests_scitokens import Session

with Session() as session:
    r = session.get(sys.argv[1])
r.raise_for_status()
sys.stdout.write(r.text)
