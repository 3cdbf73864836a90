package operators

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"rollcall/web/core"
)

// Monitor serves asynqmon. Its payloads are ids, not data.
func (s *Pages) Monitor(w http.ResponseWriter, r *http.Request) error {
	w.Header().Set("Content-Security-Policy", s.MonitoringPolicy)
	path := strings.TrimPrefix(r.URL.Path, core.MonitoringPath)
	if strings.HasPrefix(path, "/api/") || strings.HasPrefix(path, "/static/") {
		s.monitoring.ServeHTTP(w, r)
		return nil
	}
	page := &buffer{header: w.Header(), status: http.StatusOK}
	s.monitoring.ServeHTTP(page, r)
	w.WriteHeader(page.status)
	_, err := w.Write(s.atHome(page.Bytes()))
	return err
}

// fontLink loads a font of Google's, which our policy blocks: the system's look the same.
var fontLink = regexp.MustCompile(`<link [^>]*href="https://fonts\.googleapis\.com/[^>]*>`)

// atHome leaves out of asynqmon's page what its policy blocks, and adds a way back.
func (s *Pages) atHome(page []byte) []byte {
	style, err := s.Hashes.URL("monitoring.css")
	if err != nil || !bytes.Contains(page, []byte("</body>")) { // a picture
		return page
	}
	page = fontLink.ReplaceAll(page, nil)
	page = bytes.Replace(page, []byte("</head>"), []byte(`<link rel="stylesheet" href="`+style+`"></head>`), 1)
	const back = `<a class="way-back" href="/admin">Back to Rollcall</a></body>`
	return bytes.Replace(page, []byte("</body>"), []byte(back), 1)
}

var inlineScript = regexp.MustCompile(`(?s)<script>(.*?)</script>`)

// policyFor allows asynqmon's scripts, the inline ones by hash, and inline styles,
// which its components insert.
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
	status int
}

func (b *buffer) Header() http.Header    { return b.header }
func (b *buffer) WriteHeader(status int) { b.status = status }

// Scrape serves the process's metrics. METRICS_LISTEN, which must not be public,
// serves them to anyone.
func (s *Pages) Scrape(w http.ResponseWriter, r *http.Request) error {
	if s.Cfg.Scrapes == nil {
		return core.ErrNoRoute
	}
	s.Cfg.Scrapes.ServeHTTP(w, r)
	return nil
}
