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

// Monitor shows asynqmon. Payloads are shown as they are: ids, no data.
func (s *Pages) Monitor(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Security-Policy", s.MonitoringPolicy)
	s.monitoring.ServeHTTP(w, r)
	return nil
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// PolicyFor allows what asynqmon's page needs: its scripts, the inline ones by
// their hashes, and the styles that its components insert. It does not need the
// fonts it asks Google for: without them it looks the same in the system's, and
// nobody else can put styles into an operator's page.
func PolicyFor(monitoring http.Handler) string {
	index := &buffer{header: http.Header{}}
	monitoring.ServeHTTP(index, &http.Request{Method: http.MethodGet, URL: &url.URL{Path: core.MonitoringPath}})
	scripts := "'self'"
	for _, match := range inlineScript.FindAllSubmatch(index.Bytes(), -1) {
		hash := sha256.Sum256(match[1])
		scripts += " 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'"
	}
	return "default-src 'none'; script-src " + scripts + "; connect-src 'self'; img-src 'self' data:; manifest-src 'self'; " +
		"style-src 'self' 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}

// buffer is an answer that stays here.
type buffer struct {
	bytes.Buffer
	header http.Header
}

func (b *buffer) Header() http.Header { return b.header }
func (b *buffer) WriteHeader(int)     {}

// Scrape answers what this process counts. At METRICS_LISTEN, which the outside
// does not reach, it is answered to anybody.
func (s *Pages) Scrape(w http.ResponseWriter, r *http.Request) error {
	if s.Cfg.Scrapes == nil {
		return core.ErrNoRoute
	}
	s.Cfg.Scrapes.ServeHTTP(w, r)
	return nil
}
