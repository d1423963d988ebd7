import sys

import requests

from requests_scitokens import HTTPSciTokenAuth

r = requests.get(sys.argv[1], auth=HTTPSciTokenAuth())
r.raise_for_status()
sys.stdout.write(r.text)
