// What a program does with memberships by the published client. Run by
// clients_test.go, which serves the data and says where: BASE, KEY and PLAIN are the
// address and the API keys of an owner, and of a member without rights.
import assert from 'node:assert/strict';
import {RebillyAPI} from 'rebilly-js-sdk';

const {BASE, KEY, PLAIN} = process.env;
const connect = (apiKey, organizationId) =>
  RebillyAPI({apiKey, organizationId, timeout: 5000, urls: {live: BASE, sandbox: BASE}});

const fails = async (what, name, status) => {
  try {
    await what;
  } catch (e) {
    assert.equal(e.name, name, e.message);
    if (status) assert.equal(e.status ?? e.response?.status, status);
    return e;
  }
  assert.fail(`no ${name}`);
};

async function memberships(api) {
  const ada = {organizationId: 'org_1', userId: 'usr_1'};
  await fails(api.memberships.get(ada), 'RebillyNotFoundError');

  const data = {organization: {}, user: {}, roleIds: ['role_a'], allowedIps: ['153.12.32.33', '201.54.122.0/24']};
  const created = await api.memberships.update({...ada, data});
  assert.equal(created.response.status, 201);
  assert.match(created.response.headers.location, /\/memberships\/org_1\/usr_1$/);
  assert.ok(Number(created.response.headers['x-ratelimit-limit']) > 0);
  assert.ok(Number(created.response.headers['x-ratelimit-remaining']) >= 0);
  const updated = await api.memberships.update({...ada, data});
  assert.equal(updated.response.status, 200);
  assert.deepEqual(updated.getJSON(), created.getJSON());

  const got = await api.memberships.get(ada);
  assert.deepEqual(got.getJSON(), created.getJSON());
  assert.equal(got.fields.user.email, 'ada@example.com');
  assert.equal(got.fields.organization.name, 'Acme');
  assert.deepEqual(got.fields.roleIds, ['role_a']);
  assert.deepEqual(got.fields.allowedIps, data.allowedIps);
  assert.deepEqual(got.fields.acl, [{scope: {organizationId: ['org_1']}, permissions: ['GetCustomer']}]);
  assert.equal(got.fields._links[0].rel, 'self');

  // What was read can be sent back.
  const back = await api.memberships.update({...ada, data: got.getJSON().fields});
  assert.deepEqual(back.getJSON(), created.getJSON());

  const lifted = await api.memberships.update({...ada, data: {...data, allowedIps: null}});
  assert.equal(lifted.fields.allowedIps, null);

  const e = await fails(api.memberships.update({...ada, data: {allowedIps: ['8.8.8.8', '10.0.0.1']}}), 'RebillyValidationError');
  const fields = e.invalidFields ?? e.details?.invalidFields ?? e.response.data.invalidFields;
  assert.equal(fields[0].field, 'allowedIps.1');
  await fails(api.memberships.delete({organizationId: 'org_1', userId: 'usr_owner'}), 'RebillyConflictError');
  await fails(api.memberships.update({organizationId: 'org_1', userId: 'nobody', data: {}}), 'RebillyNotFoundError');
}

async function lists(api) {
  const all = await api.memberships.getAll();
  assert.equal(all.total, all.items.length);
  assert.equal(all.limit, 100);
  const seen = [];
  for (let offset = 0; ; offset += 2) {
    const page = await api.memberships.getAll({limit: 2, offset});
    assert.equal(page.total, all.total);
    assert.equal(page.response.headers['pagination-offset'], String(offset));
    seen.push(...page.items.map((m) => m.fields.user.id));
    if (page.items.length < 2) break;
  }
  assert.deepEqual(seen, all.items.map((m) => m.fields.user.id));
  assert.ok(seen.includes('usr_1'));

  const ids = async (params) => (await api.memberships.getAll(params)).items.map((m) => m.fields.user.id);
  assert.deepEqual(await ids({filter: 'user.id:usr_1'}), ['usr_1']);
  assert.deepEqual(await ids({filter: 'user.id:usr_1,usr_plain;isOwner:false', sort: ['-user.email']}), ['usr_1', 'usr_plain']);
  assert.deepEqual(await ids({filter: 'user.id:usr_1,usr_plain', sort: ['user.email']}), ['usr_plain', 'usr_1']);
  assert.deepEqual(await ids({filter: 'user.email:OLGA@example.com'}), ['usr_owner']);
  assert.deepEqual(await ids({filter: 'user.name:Ada L;organization.name:!Acme'}), []);
  const none = await api.memberships.getAll({limit: 0});
  assert.equal(none.items.length, 0);
  assert.equal(none.total, all.total);
  const e = await fails(api.memberships.getAll({filter: 'password:x'}), 'RebillyValidationError');
  assert.match(e.message, /./);
}

async function siblings(api) {
  const user = await api.users.create({id: 'usr_js', data: {email: 'js@example.com', firstName: 'Jo', lastName: 'Script'}});
  assert.equal(user.response.status, 201);
  assert.equal((await api.roles.create({id: 'role_js', data: {name: 'JS', acl: []}})).response.status, 201);
  const m = await api.memberships.update({organizationId: 'org_1', userId: 'usr_js', data: {roleIds: ['role_js']}});
  assert.equal(m.fields.user.name, 'Jo Script');
  assert.ok((await api.users.getAll({limit: 1000})).items.some((u) => u.fields.id === 'usr_js'));
  assert.equal((await api.users.get({id: 'usr_js'})).fields.lastName, 'Script');
  await fails(api.roles.delete({id: 'role_js'}), 'RebillyConflictError');
  await api.memberships.delete({organizationId: 'org_1', userId: 'usr_js'});
  assert.equal((await api.roles.delete({id: 'role_js'})).response.status, 204);
  assert.equal((await api.organizations.get({id: 'org_1'})).fields.name, 'Acme');
}

for (const organization of ['org_1', undefined]) {
  const api = connect(KEY, organization);
  await memberships(api);
  await lists(api);
  const gone = await api.memberships.delete({organizationId: 'org_1', userId: 'usr_1'});
  assert.equal(gone.response.status, 204);
  await fails(api.memberships.delete({organizationId: 'org_1', userId: 'usr_1'}), 'RebillyNotFoundError');
}
await siblings(connect(KEY, 'org_1'));

await fails(connect('sk_wrong', 'org_1').memberships.getAll(), 'RebillyForbiddenError', 401);
await fails(connect(PLAIN, 'org_1').memberships.update({organizationId: 'org_1', userId: 'usr_1', data: {}}), 'RebillyRequestError', 403);

// A token in place of a key.
const bearer = connect(undefined, 'org_1');
bearer.setSessionToken(KEY);
assert.ok((await bearer.memberships.getAll()).total > 0);
console.log('ok');
