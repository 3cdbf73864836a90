package core

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"rollcall/jobs"
	"rollcall/store/pg"
)

// metrics is what a site counts.
type metrics struct {
	Requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	Refused  *prometheus.CounterVec
}

// NewMetrics registers with reg, if that is not nil.
func NewMetrics(reg prometheus.Registerer) *metrics {
	with := promauto.With(reg)
	return &metrics{
		Requests: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_http_requests_total",
			Help: "Requests to pages and API, by the route's pattern (other: there is no such route), method and status.",
		}, []string{"route", "method", "status"}),
		took: with.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "rollcall_http_request_duration_seconds",
			Help:    "Time from a request to the end of its answer. Pages that wait for news are left out.",
			Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route", "method"}),
		Refused: with.NewCounterVec(prometheus.CounterOpts{
			Name: "rollcall_web_refused_total",
			Help: "What was refused because a visitor (429), or all together (503), have as much of a kind under way as they may: requests, counts, exports or watches.",
		}, []string{"kind", "limit"}),
	}
}

// telling is what is told of a request beside its answer: handlers fill it in.
type telling struct {
	Who  string // was admitted
	code string // of the failure
	err  error  // whose fault is ours
}

// tellingKey is where a request's context has its telling.
type tellingKey struct{}

// TellingOf is that of a request; outside of one, what is told is lost.
func TellingOf(ctx context.Context) *telling {
	if t, ok := ctx.Value(tellingKey{}).(*telling); ok {
		return t
	}
	return &telling{}
}

// quiet are the routes of those who ask every few seconds. Their lines are for
// debugging, and nobody traces them.
var quiet = []string{"/healthz", "/readyz"}

// The routes whose requests last: as long as somebody looks, or reads.
const (
	LivePath = "/store/{store}/customers/live"
	CsvRoute = "/api/stores/{store}/customers.csv"
)

// Observed makes of each request a line in the log, a count and a span, and
// turns a panic into a 500. The query is told nowhere: it may hold a sign-in link
// or a person's name.
func (s *Site) Observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, told := time.Now(), &telling{}
		ctx, span := s.span(r)
		r = r.WithContext(context.WithValue(ctx, tellingKey{}, told)) // the mux notes its pattern there
		seen := &recorder{ResponseWriter: w}
		defer func() {
			cut := s.recovered(seen, r, recover())
			if seen.status == 0 && !cut { // nothing was written: net/http answers for us
				seen.status = http.StatusOK
			}
			took := time.Since(began)
			s.count(r, seen, took)
			s.log(r, seen, took)
			endSpan(span, r, seen)
			if cut {
				panic(http.ErrAbortHandler)
			}
		}()
		next.ServeHTTP(seen, r)
	})
}

// span begins the trace of a request, linked to the visitor's.
func (s *Site) span(r *http.Request) (context.Context, trace.Span) {
	if s.Cfg.Traces == nil || slices.Contains(quiet, r.URL.Path) {
		return r.Context(), noop.Span{}
	}
	return s.Cfg.Traces.Tracer("rollcall/web").Start(r.Context(), "request", trace.WithSpanKind(trace.SpanKindServer), trace.WithLinks(jobs.Named(r.Header)...))
}

func endSpan(span trace.Span, r *http.Request, seen *recorder) {
	if span.IsRecording() {
		span.SetName(methodOf(r) + " " + routeOf(r))
		span.SetAttributes(
			attribute.String("http.request.method", methodOf(r)),
			attribute.String("http.route", routeOf(r)),
			attribute.Int("http.response.status_code", seen.status))
		if seen.status >= 500 {
			span.SetStatus(codes.Error, pg.Fault(TellingOf(r.Context()).err))
		}
	}
	span.End()
}

// count counts a request.
func (s *Site) count(r *http.Request, seen *recorder, took time.Duration) {
	route, method := routeOf(r), methodOf(r)
	s.Metrics.Requests.WithLabelValues(route, method, strconv.Itoa(seen.status)).Inc()
	if route != LivePath {
		s.Metrics.took.WithLabelValues(route, method).Observe(took.Seconds())
	}
}

// routeOf is the pattern of a request's route, never its path: there are as many
// of those as anybody likes.
func routeOf(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "other"
	}
	return r.Pattern
}

// methodOf is a request's method, if it is one of the usual ones.
func methodOf(r *http.Request) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, r.Method) {
		return r.Method
	}
	return "other"
}

// log writes the line of a request.
func (s *Site) log(r *http.Request, seen *recorder, took time.Duration) {
	told, level := TellingOf(r.Context()), slog.LevelInfo
	if slices.Contains(quiet, r.URL.Path) {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", Clip(r.Method)),
		slog.String("path", Clip(pg.WithoutAddresses(r.URL.Path))),
		slog.String("route", routeOf(r)),
		slog.Int("status", seen.status),
		slog.Int64("bytes", seen.bytes),
		slog.Duration("took", took),
		slog.String("remote", r.RemoteAddr),
	}
	if told.Who != "" {
		attrs = append(attrs, slog.String("who", told.Who))
	}
	if told.code != "" {
		attrs = append(attrs, slog.String("code", told.code))
	}
	if told.err != nil {
		level = slog.LevelError
		attrs = append(attrs, slog.Any("error", told.err))
	}
	s.Cfg.Log.LogAttrs(r.Context(), level, "request", attrs...)
}
