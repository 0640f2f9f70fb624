// What a program does with users and enterprise groups by Esri's own client. Run by
// clients_test.go, which serves the data and says where: BASE is the address, PEOPLE
// the file that the identity source "domain" reads. Tokens are good for 2 seconds.
import assert from 'node:assert/strict';
import {File} from 'node:buffer';
import {readFile, writeFile} from 'node:fs/promises';
import {setTimeout as sleep} from 'node:timers/promises';
import {ArcGISIdentityManager, request} from '@esri/arcgis-rest-request';

const {BASE, PEOPLE} = process.env;
const portal = `${BASE}/arcgis/sharing/rest`;
const security = `${BASE}/arcgis/admin/orgs/0123456789ABCDEF/security`;

const signIn = (more) => new ArcGISIdentityManager({portal, username: 'admin1', password: 'admin password', ...more});

// A manager asks servers that are not below its portal who owns them, at addresses
// that no administrator API answers: requests are given the token of the portal.
const by = (session) => ({
  portal,
  getToken: () => session.getToken(portal),
  get canRefresh() { return session.canRefresh; },
  refreshCredentials: () => session.refreshCredentials().then(by),
});
const call = (session, path, params, more) => request(`${security}/${path}`, {authentication: by(session), params, ...more});
const refresh = (session, users, more) => call(session, 'users/refreshMembership', {users, ...more});
const within = (session, groupName, more, how) =>
  call(session, 'groups/getUsersWithinEnterpriseGroup', {groupName, ...more}, how);

const fails = async (what, name, code, message) => {
  const e = await what.then((value) => assert.fail(`no ${name}: ${JSON.stringify(value)}`), (e) => e);
  assert.deepEqual([e.name, e.code], [name, code], e.message);
  assert.match(e.message, message);
};

const success = {status: 'success'};
const dn = (name) => `CN=${name},OU=Users,OU=Development,OU=Departments,DC=domain,DC=com`;
const turing = {username: 'domain\\aturing', description: dn('Alan Turing'), email: 'aturing@domain.com', fullname: 'Alan Turing'};
const doe = {username: 'domain\\jdoe', description: dn('John Doe'), email: 'jdoe@domain.com', fullname: 'John Doe'};
const hopper = {username: 'domain\\ghopper', description: '', email: '', fullname: 'Grace Hopper'};
const only = (...users) => ({users, hasMore: false});

async function operations() {
  const session = signIn();
  assert.deepEqual(await within(session, 'cartographers', {filter: '', maxCount: 10}), only(turing, doe));
  const left = session.tokenExpires.getTime() - Date.now();
  assert.ok(left > 0 && left <= 2000, `the token is good for ${left} ms`);
  assert.deepEqual(await within(session, 'surveyors'), only(hopper));
  assert.deepEqual(await within(session, 'domain\\cartographers', {filter: 'jd'}), only(doe));
  assert.deepEqual(await within(session, 'cartographers', {maxCount: 1}), {users: [turing], hasMore: true});
  assert.deepEqual(await within(session, 'cartographers', {}, {httpMethod: 'GET'}), only(turing, doe));
  assert.deepEqual(await within(session, 'cartographers', {}, {httpMethod: 'GET', hideToken: true}), only(turing, doe));

  // John Doe moves to the surveyors: the API knows when it was told to look.
  const people = await readFile(PEOPLE, 'utf8');
  assert.match(people, /^jdoe,.*,cartographers$/m);
  await writeFile(PEOPLE, people.replace(/^(jdoe,.*),cartographers$/m, '$1,surveyors'));
  assert.deepEqual(await refresh(session, ['aturing@domain']), success);
  assert.deepEqual(await within(session, 'cartographers'), only(turing, doe));
  assert.deepEqual(await refresh(session, ['jdoe@domain', 'aturing@domain']), success);
  assert.deepEqual(await within(session, 'cartographers'), only(turing));
  assert.deepEqual(await within(session, 'surveyors'), only(hopper, doe));
  assert.deepEqual(await refresh(session, 'jdoe@domain', {file: new File(['x'], 'x.txt')}), success); // multipart
}

async function expiry() {
  const session = signIn();
  assert.deepEqual(await within(session, 'cartographers'), only(turing));
  const first = session.token;
  assert.deepEqual(await refresh(session, 'aturing@domain'), success);
  assert.equal(session.token, first);

  // The clock of this client is an hour behind, so that it thinks its token is good.
  const behind = signIn({token: first, tokenExpires: new Date(session.tokenExpires.getTime() + 3600_000)});
  await sleep(session.tokenExpires.getTime() + 50 - Date.now());
  await fails(request(`${security}/users/refreshMembership`, {params: {users: 'aturing@domain', token: first}}),
    'ArcGISAuthError', 498, /Invalid token\./);

  // Who knows that it is not gets another first; who does not, after the 498.
  assert.deepEqual(await refresh(session, 'aturing@domain'), success);
  assert.notEqual(session.token, first);
  assert.equal(behind.token, first);
  assert.deepEqual(await refresh(behind, 'aturing@domain'), success);
  assert.notEqual(behind.token, first);
}

async function refusals() {
  const session = signIn();
  await fails(within(session, 'ghosts'), 'ArcGISRequestError', 404, /UNKNOWN_ERROR/);
  await fails(refresh(session, undefined), 'ArcGISRequestError', 400, /UNKNOWN_ERROR/);
  await fails(request(`${security}/users/refreshMembership`, {params: {users: 'jdoe'}}), 'ArcGISAuthError', 499, /Token Required/);
  await fails(signIn({password: 'wrong'}).getToken(portal),
    'ArcGISTokenRequestError', 'TOKEN_REFRESH_FAILED', /Unable to generate token\./);
  await fails(refresh(signIn({username: 'nobody1', password: 'nobody password'}), 'jdoe'),
    'ArcGISRequestError', 403, /You do not have permissions/);
  await fails(request(`${security}/users/refreshMembership`, {
    params: {users: 'jdoe', token: session.token}, headers: {referer: 'https://elsewhere.example'},
  }), 'ArcGISAuthError', 498, /Invalid token\./);
}

await operations();
await expiry();
await refusals();
console.log('ok');
