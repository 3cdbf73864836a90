package operators

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"

	"rollcall/web/core"
)

// Monitor serves asynqmon. Its payloads are ids, not data.
func (s *Pages) Monitor(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Security-Policy", s.MonitoringPolicy)
	s.monitoring.ServeHTTP(w, r)
	return nil
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// policyFor allows asynqmon's scripts, the inline ones by hash, and inline styles,
// which its components insert. It leaves out Google's fonts: the system's fonts look
// the same, and no other site can style an operator's page.
func policyFor(monitoring http.Handler) string {
	index := &buffer{header: http.Header{}}
	monitoring.ServeHTTP(index, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: core.MonitoringPath}})
	scripts := "'self'"
	for _, match := range inlineScript.FindAllSubmatch(index.Bytes(), -1) {
		hash := sha256.Sum256(match[1])
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	}
	return "default-src 'none'; script-src " + scripts +
		"; connect-src 'self'; img-src 'self' data:; manifest-src 'self'; " +
		"style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// buffer keeps an answer.
type buffer struct {
	bytes.Buffer
	header http.Header
}

func (b *buffer) Header() http.Header { return b.header }
func (b *buffer) WriteHeader(int)     {}

// Scrape serves the process's metrics. METRICS_LISTEN, which must not be public,
// serves them to anyone.
func (s *Pages) Scrape(w http.ResponseWriter, r *http.Request) error {
	if s.Cfg.Scrapes == nil {
		return core.ErrNoRoute
	}
	s.Cfg.Scrapes.ServeHTTP(w, r)
	return nil
}
