// Package arcgis is the ArcGIS Enterprise Administrator API over an engine: the
// operations on users and enterprise groups, generateToken, and the directory
// of HTML pages in which an administrator uses them by hand.
//
//	s, err := access.New(e, access.Options{})
//	...
//	mux.Handle("/arcgis/", arcgis.New(e, arcgis.Options{Access: s}))
//
// # Paths
//
// Below [Options.Prefix], "/arcgis" unless said otherwise, which the handler
// expects in the path of the request: do not strip it.
//
//	/sharing/rest/generateToken
//	/admin                               the directory: GET shows pages
//	/admin/orgs/{org}/security/users
//	    …/refreshMembership  …/createUser
//	    …/getEnterpriseUser  …/searchEnterpriseUsers
//	/admin/orgs/{org}/security/groups
//	    …/getUsersWithinEnterpriseGroup  …/searchEnterpriseGroups
//	    …/getEnterpriseGroupsForUser     …/refreshMembership
//	/admin/orgs/{org}/security/config
//
// The organisation is [Options.Organization], or one that the engine has. The
// identity stores are those of the engine, whichever organisation is named.
//
// # Answers
//
// The parameter f asks for html, the default, json or pjson. JSON answers have
// the HTTP status 200 also when they are errors, as clients of this API expect;
// see [Options.Statuses]. Pages have the status that fits them.
//
// # Names
//
// Users and enterprise groups are shown as domain\name. They may be named so, as
// name@domain or as the name alone if that is clear. Capital letters do not
// count unless the configuration of the identity store says so.
//
// # Who may
//
// Nobody without a token or a session of the directory. Operations on users and
// the configuration ask for [access.PrivilegeSecurity], those on groups for that
// or [access.PrivilegeGroupLinks]. A session is a cookie that browsers send with
// requests of these pages only, and each form of a page carries a token of the
// session besides.
package arcgis
