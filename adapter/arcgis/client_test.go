package arcgis_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"testing"
	"time"
)

// TestEsriClient has Esri's client for JavaScript use the API: tokens, their renewal
// and both operations.
func TestEsriClient(t *testing.T) {
	node, err := exec.LookPath("node")
	if err != nil {
		t.Skip("node is not in PATH")
	}
	if _, err := os.Stat("clienttest/node_modules/@esri/arcgis-rest-request"); err != nil {
		t.Skip("the client is not installed: npm ci in adapter/arcgis/clienttest")
	}
	w := newWorld(t)
	w.Pass(time.Since(w.Now())) // the client has a clock too
	mux := http.NewServeMux()
	mux.Handle("/arcgis/", w.h)
	mux.HandleFunc("POST /control/revoke", func(http.ResponseWriter, *http.Request) {
		if err := w.s.RevokeTokens(ctx, w.admin); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	defer server.Close()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), node, "client.mjs", server.URL)
	cmd.Dir, cmd.Stderr = "clienttest", &stderr
	text, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, stderr.String())
	}
	var saw map[string]any
	if err := json.Unmarshal(text, &saw); err != nil {
		t.Fatal(err, string(text))
	}
	success := `{"status":"success"}`
	members := `{"hasMore":false,"users":[` +
		`{"description":"` + aDN + `","email":"aturing@domain.com","fullname":"Alan Turing","username":"domain\\aturing"},` +
		`{"description":"` + jDN + `","email":"jdoe@domain.com","fullname":"John Doe","username":"domain\\jdoe"}]}`
	for what, want := range map[string]string{
		"refresh": success, "users": members, "byGet": members, "byHeader": members, "withFile": success,
		"expiresInTheFuture": "true", "afterRevocation": success, "anotherToken": "true",
		"noSuchGroup":   `{"code":404,"message":"404: UNKNOWN_ERROR","name":"ArcGISRequestError"}`,
		"noUsers":       `{"code":400,"message":"400: UNKNOWN_ERROR","name":"ArcGISRequestError"}`,
		"anonymous":     `{"code":499,"message":"499: Token Required","name":"ArcGISAuthError"}`,
		"wrongPassword": `{"code":"TOKEN_REFRESH_FAILED","message":"TOKEN_REFRESH_FAILED: 400: Unable to generate token.","name":"ArcGISTokenRequestError"}`,
		"forbidden":     `{"code":403,"message":"403: You do not have permissions to access this resource or perform this operation.","name":"ArcGISRequestError"}`,
		"elsewhere":     `{"code":498,"message":"498: Invalid token.","name":"ArcGISAuthError"}`,
	} {
		if got, _ := json.Marshal(saw[what]); string(got) != want {
			t.Errorf("%s: %s, not %s", what, got, want)
		}
	}
	if got := w.inGroups("jdoe"); got != "cartographers,surveyors" {
		t.Errorf("jdoe is in %s", got)
	}
}
