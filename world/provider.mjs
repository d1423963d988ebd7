// An OpenID provider on loopback: provider.mjs FOLDER PORT LIFETIME. Its access tokens are
// JWTs of the WLCG profile. It logs a user in by password, since nobody is there to click.
import crypto from 'node:crypto';
import fs from 'node:fs';
import https from 'node:https';
import { Provider } from 'oidc-provider';

const [folder, port, lifetime] = [process.argv[2], +process.argv[3], +process.argv[4]];
const issuer = `https://localhost:${port}`;
const resource = 'https://storage.example.org';
const scope = 'storage.read:/ storage.modify:/';
const server = {
  scope, audience: 'https://wlcg.cern.ch/jwt/v1/any', accessTokenTTL: lifetime,
  accessTokenFormat: 'jwt', jwt: { sign: { alg: 'ES256' } },
};
const key = (kind, options, more) => ({
  ...crypto.generateKeyPairSync(kind, options).privateKey.export({ format: 'jwk' }), use: 'sig', ...more,
});
const ec = key('ec', { namedCurve: 'P-256' }, { kid: 'test', alg: 'ES256' });
const rsa = key('rsa', { modulusLength: 2048 }, { kid: 'rsa', alg: 'RS256' });

const provider = new Provider(issuer, {
  clients: [{
    client_id: 'frames', client_secret: 'secret', response_types: ['code'],
    grant_types: ['refresh_token', 'authorization_code', 'password'],
    redirect_uris: ['http://localhost:4242'],
  }],
  jwks: { keys: [ec, rsa] },
  scopes: ['openid', 'offline_access'],
  features: {
    devInteractions: { enabled: false },
    resourceIndicators: {
      enabled: true, defaultResource: () => resource, useGrantedResource: () => true,
      getResourceServerInfo: () => server,
    },
  },
  interactions: { url: () => '/interaction' },
  issueRefreshToken: () => true,
  rotateRefreshToken: false,
  ttl: { AccessToken: lifetime, RefreshToken: 86400, Grant: 86400, IdToken: 3600 },
  extraTokenClaims: () => ({ 'wlcg.ver': '1.0' }),
});

provider.registerGrantType('password', async (ctx, next) => {
  const { client, params } = ctx.oidc;
  const grant = new provider.Grant({ accountId: params.username, clientId: client.clientId });
  grant.addOIDCScope('openid offline_access');
  grant.addResourceScope(resource, scope);
  const about = { accountId: params.username, client, grantId: await grant.save() };
  const access = new provider.AccessToken({ ...about, gty: 'password', scope });
  access.resourceServer = new provider.ResourceServer(resource, server);
  const all = `openid offline_access ${scope}`;
  const refresh = new provider.RefreshToken({
    ...about, gty: 'password', scope: all, resource, rotations: 0,
    iiat: Math.floor(Date.now() / 1000),
  });
  ctx.body = {
    access_token: await access.save(), refresh_token: await refresh.save(),
    token_type: 'Bearer', expires_in: lifetime, scope: all,
  };
  await next();
}, ['username', 'password', 'scope']);

const read = (name) => fs.readFileSync(`${folder}/${name}`);
const tls = { key: read('server.key'), cert: read('server.pem') };
https.createServer(tls, provider.callback()).listen(port, '127.0.0.1', () => {
  const { d, ...known } = ec;
  console.log(JSON.stringify({ issuer, jwks: { keys: [known] } }));
});
