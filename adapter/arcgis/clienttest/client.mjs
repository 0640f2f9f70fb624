// Uses the API with Esri's own client as a program does: node client.mjs URL
// writes one JSON object of what it saw.
import { ArcGISIdentityManager, request } from "@esri/arcgis-rest-request";

const base = process.argv[2];
const security = `${base}/arcgis/admin/orgs/0123456789ABCDEF/security`;
const control = (what) => fetch(`${base}/control/${what}`, { method: "POST" });

// The client asks servers that are not below its portal who owns them, which the
// administrator API does not answer: its manager is told that they are one.
class Manager extends ArcGISIdentityManager {
  getToken() {
    return this.getFreshToken();
  }
}

const manager = (more) =>
  new Manager({ portal: `${base}/arcgis/sharing/rest`, username: "admin1", password: "admin's password", ...more });
const call = (authentication, path, params, more) =>
  request(`${security}/${path}`, { authentication, params, ...more });
const failure = (promise) =>
  promise.then(
    (value) => ({ value }),
    (e) => ({ name: e.name, code: e.code, message: e.message }),
  );

const out = {};
const session = manager();

out.refresh = await call(session, "users/refreshMembership", { users: ["jdoe@domain", "aturing@domain"] });
const first = session.token;
out.expiresInTheFuture = session.tokenExpires.getTime() > Date.now();

out.users = await call(session, "groups/getUsersWithinEnterpriseGroup", { groupName: "cartographers", filter: "", maxCount: 10 });
out.byGet = await call(session, "groups/getUsersWithinEnterpriseGroup", { groupName: "cartographers" }, { httpMethod: "GET" });
out.byHeader = await call(session, "groups/getUsersWithinEnterpriseGroup", { groupName: "cartographers" }, { httpMethod: "GET", hideToken: true });
out.withFile = await call(session, "users/refreshMembership", { users: "jdoe@domain", file: new File(["x"], "x.txt") });

// The server forgets the token while the client thinks that it is good: 498, and
// the client asks for another one and tries again.
await control("revoke");
out.afterRevocation = await call(session, "users/refreshMembership", { users: "jdoe@domain" });
out.anotherToken = session.token !== first;

out.noSuchGroup = await failure(call(session, "groups/getUsersWithinEnterpriseGroup", { groupName: "ghosts" }));
out.noUsers = await failure(call(session, "users/refreshMembership", {}));
out.anonymous = await failure(request(`${security}/users/refreshMembership`, { params: { users: "jdoe" } }));
out.wrongPassword = await failure(call(manager({ password: "wrong" }), "users/refreshMembership", { users: "jdoe" }));
out.forbidden = await failure(
  call(manager({ username: "nobody1", password: "nobody's password" }), "users/refreshMembership", { users: "jdoe" }),
);
out.elsewhere = await failure(
  request(`${security}/users/refreshMembership`, {
    params: { users: "jdoe", token: session.token },
    headers: { referer: "https://elsewhere.example" },
  }),
);

console.log(JSON.stringify(out));
