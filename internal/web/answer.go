package web

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"
)

// Send answers with JSON in which <, > and & are escaped, so that no text in it is
// ever markup, and a line end. To HEAD it leaves the body out. The body is put
// together before the first byte is sent: an answer that cannot be JSON is status
// 500 without a body, and the error is for the log. That whoever asked has gone is
// no error.
func Send(w http.ResponseWriter, r *http.Request, status int, answer any) error {
	var body bytes.Buffer
	if err := json.NewEncoder(&body).Encode(answer); err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return err
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body.Bytes())
	}
	return nil
}
