package main

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"sync"

	"github.com/rosterdb/roster"
	"github.com/rosterdb/roster/access"
)

// sessions is an Authenticator of the program's own: it lets in whoever is logged in
// to the program, which a cookie shows.
type sessions struct {
	e       *roster.Engine
	s       *access.Service
	origins *http.CrossOriginProtection

	mu      sync.Mutex
	users   map[string]access.Principal // by the cookie's value, which nobody can guess
	cookies map[roster.UserID]string    // the latest: each has one session
}

func newSessions(e *roster.Engine, s *access.Service) *sessions {
	return &sessions{e: e, s: s, origins: http.NewCrossOriginProtection(), users: map[string]access.Principal{}, cookies: map[roster.UserID]string{}}
}

// login is the program's own way in. A program may ask whom it likes; this one asks
// the passwords of package access.
func (s *sessions) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4096)
	p, err := s.s.Login(r.Context(), r.PostFormValue("user"), r.PostFormValue("password"), s.s.ClientAddr(r))
	if err != nil {
		http.Error(w, "that is wrong", http.StatusForbidden)
		return
	}
	cookie := rand.Text()
	s.mu.Lock()
	delete(s.users, s.cookies[p.User])
	s.users[cookie] = access.Principal{User: p.User, Directory: p.Directory, Username: p.Username, By: access.ByHost}
	s.cookies[p.User] = cookie
	s.mu.Unlock()
	http.SetCookie(w, &http.Cookie{Name: "session", Value: cookie, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode}) // and Secure, behind TLS
	w.WriteHeader(http.StatusNoContent)
}

func (s *sessions) find(cookie string) (access.Principal, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.users[cookie]
	return p, ok
}

// Authenticate implements access.Authenticator. It says who it is, and no more: what
// somebody may do follows from the data, and the adapter asks whether the user is
// still there, has that name and is active. A browser sends a cookie whoever asked for that, so
// requests that other sites have it make are not let in.
func (s *sessions) Authenticate(r *http.Request, _ url.Values) (access.Principal, error) {
	cookie, err := r.Cookie("session")
	if err != nil {
		return access.Principal{}, access.ErrNoCredentials
	}
	p, ok := s.find(cookie.Value)
	if !ok || s.origins.Check(r) != nil {
		return access.Principal{}, access.ErrDenied
	}
	return p, nil
}
