// The OpenID provider of the end-to-end tests. It shares no code with this repository: the engine is
// node-oidc-provider, shaped here like Logto (issuer path /oidc, ES384, organization-scoped tokens).
//
// PORT=0 ORGANIZATIONS=org_a,org_b node provider.mjs   prints one line of JSON: {"issuer": "...", "port": 1234}
// POST /_test/rotate {"drop": true}                    a new signing key first; the old ones stay unless dropped
import http from 'node:http';
import { Provider, errors } from 'oidc-provider';
import { calculateJwkThumbprint, exportJWK, generateKeyPair } from 'jose';

const ALGORITHM = 'ES384';
const API = 'https://traces.example.test/api';
const SCOPES = 'traces:read traces:write traces:replay';
const LIFETIME = Number(process.env.LIFETIME ?? 3600);
const organizations = new Set((process.env.ORGANIZATIONS ?? '').split(',').filter(Boolean));

async function newKey() {
  const { privateKey } = await generateKeyPair(ALGORITHM, { extractable: true });
  const jwk = await exportJWK(privateKey);
  return { ...jwk, alg: ALGORITHM, use: 'sig', kid: await calculateJwkThumbprint(jwk) };
}

let keys = [await newKey()];
let issuer;
let answer;

// The engine reads its keys once, so that a rotation makes a new one.
function build() {
  const provider = new Provider(issuer, {
    jwks: { keys },
    clients: [{
      client_id: 'agent',
      client_secret: 'agent-secret',
      grant_types: ['client_credentials'],
      response_types: [],
      redirect_uris: [],
      id_token_signed_response_alg: ALGORITHM,
    }],
    clientAuthMethods: ['client_secret_basic', 'client_secret_post'],
    enabledJWA: { idTokenSigningAlgValues: [ALGORITHM] },
    scopes: SCOPES.split(' '),
    ttl: { ClientCredentials: LIFETIME },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => API,
        getResourceServerInfo: (_, resource) => {
          if (resource !== API) throw new errors.InvalidTarget();
          return {
            scope: SCOPES,
            audience: resource,
            accessTokenTTL: LIFETIME,
            accessTokenFormat: 'jwt',
            jwt: { sign: { alg: ALGORITHM } },
          };
        },
      },
    },
    // As Logto does: organization_id on the request for an API's token puts it into the token.
    extraTokenClaims: (context) => {
      const organization = context?.oidc?.body?.organization_id;
      if (organization === undefined) return {};
      if (!organizations.has(organization)) throw new errors.AccessDenied('not a member of the organization');
      return { organization_id: organization };
    },
  });
  answer = provider.callback();
}

const bodyOf = async (request) => {
  let text = '';
  for await (const part of request) text += part;
  return text ? JSON.parse(text) : {};
};

const server = http.createServer(async (request, response) => {
  if (request.url === '/_test/rotate') {
    const { drop } = await bodyOf(request);
    keys = [await newKey(), ...(drop ? [] : keys)];
    build();
    response.end(JSON.stringify({ kids: keys.map((key) => key.kid) }));
  } else if (request.url.startsWith('/oidc/')) {
    request.originalUrl = request.url;
    request.url = request.url.slice('/oidc'.length);
    answer(request, response);
  } else {
    response.statusCode = 404;
    response.end();
  }
});

server.listen(Number(process.env.PORT ?? 0), '127.0.0.1', () => {
  const { port } = server.address();
  issuer = `http://127.0.0.1:${port}/oidc`;
  build();
  console.log(JSON.stringify({ issuer, port }));
});
