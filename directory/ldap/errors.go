package ldap

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"

	ldapv3 "github.com/go-ldap/ldap/v3"

	"github.com/rosterdb/roster/directory"
)

// failure says what an error of the server or of the way to it means to a caller.
// What was being done goes before it. ctx comes first: whoever gave up is told
// that.
func failure(ctx context.Context, doing string, err error) error {
	if err == nil {
		return nil
	}
	if ctxErr := ctx.Err(); ctxErr != nil {
		return fmt.Errorf("%s: %w", doing, ctxErr)
	}
	return fmt.Errorf("%s: %w: %w", doing, kindOf(err), err)
}

// kindOf returns the sentinel of an error.
func kindOf(err error) error {
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var verify *tls.CertificateVerificationError
	switch {
	case errors.As(err, &unknown), errors.As(err, &host), errors.As(err, &invalid), errors.As(err, &verify):
		return directory.ErrUntrusted
	case errors.Is(err, directory.ErrConfig):
		return directory.ErrConfig
	}
	var e *ldapv3.Error
	if !errors.As(err, &e) {
		return directory.ErrUnreachable
	}
	switch e.ResultCode {
	case ldapv3.ErrorNetwork, ldapv3.LDAPResultBusy, ldapv3.LDAPResultUnavailable, ldapv3.LDAPResultServerDown,
		ldapv3.LDAPResultTimeout, ldapv3.LDAPResultConnectError, ldapv3.ErrorUnexpectedResponse:
		if strings.Contains(err.Error(), "x509:") { // StartTLS of the library keeps the text alone
			return directory.ErrUntrusted
		}
		return directory.ErrUnreachable
	case ldapv3.LDAPResultInvalidCredentials, ldapv3.LDAPResultInappropriateAuthentication:
		return directory.ErrCredentials
	case ldapv3.LDAPResultTimeLimitExceeded, ldapv3.LDAPResultSizeLimitExceeded, ldapv3.LDAPResultAdminLimitExceeded:
		return directory.ErrLimit
	case ldapv3.LDAPResultReferral:
		return directory.ErrReferral
	case ldapv3.LDAPResultNoSuchObject, ldapv3.LDAPResultInvalidDNSyntax, ldapv3.ErrorFilterCompile:
		return directory.ErrConfig
	}
	return directory.ErrRefused
}

// nothing reports whether an error says that there is no such entry.
func nothing(err error) bool {
	return ldapv3.IsErrorAnyOf(err, ldapv3.LDAPResultNoSuchObject, ldapv3.LDAPResultInvalidDNSyntax)
}
