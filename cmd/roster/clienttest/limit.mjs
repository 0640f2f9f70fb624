// A program that makes more requests than the API allows: run by clients_test.go, which
// says where, and lets KEY make three an hour.
import assert from 'node:assert/strict';
import {RebillyAPI} from 'rebilly-js-sdk';

const {BASE, KEY} = process.env;
const api = RebillyAPI({apiKey: KEY, organizationId: 'org_1', timeout: 5000, urls: {live: BASE, sandbox: BASE}});
for (const left of ['2', '1', '0']) {
  const {response} = await api.memberships.getAll();
  assert.equal(response.headers['x-ratelimit-remaining'], left);
}
const e = await api.memberships.getAll().then(() => assert.fail('no error'), (e) => e);
assert.deepEqual([e.name, e.status ?? e.response?.status], ['RebillyRequestError', 429]);
const again = Number((e.response ?? e.error?.response).headers['x-ratelimit-retry-after']);
assert.ok(again > Date.now() / 1000 && again <= Date.now() / 1000 + 3600, `again at ${again}`);
console.log('ok');
