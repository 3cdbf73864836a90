package core

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
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

// metrics are the site's counters.
type metrics struct {
	Requests *prometheus.CounterVec
	took     *prometheus.HistogramVec
	Refused  *prometheus.CounterVec
}

// NewMetrics makes the metrics, and registers them unless reg is nil.
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
			Help: "What was refused because a visitor (429), or all together (503), have as much of a kind under way as they " +
				"may: requests, counts, exports or watches.",
		}, []string{"kind", "limit"}),
	}
}

// requestLog collects fields for the access log; handlers fill it in.
type requestLog struct {
	Who  string // the visitor's name
	code string // of the Failure
	err  error  // the server's fault
}

// requestLogKey is the context key of the requestLog.
type requestLogKey struct{}

// LogOf is the requestLog of a request; without a request, a new one that is dropped.
func LogOf(ctx context.Context) *requestLog {
	if t, ok := ctx.Value(requestLogKey{}).(*requestLog); ok {
		return t
	}
	return &requestLog{}
}

// quiet are the routes of probes: logged at debug level, and not traced.
var quiet = []string{"/healthz", "/readyz"}

// Routes whose requests last: long polls and exports.
const (
	LivePath = "/store/{store}/customers/live"
	CSVRoute = "/api/stores/{store}/customers.csv"
)

// Observed logs, counts and traces each request, and turns a panic into a 500. It
// never logs the query, which may hold a sign-in link or a person's name.
func (s *Site) Observed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		began, told := time.Now(), &requestLog{}
		ctx, span := s.span(r)
		r = r.WithContext(context.WithValue(ctx, requestLogKey{}, told)) // the mux sets its Pattern
		seen := &recorder{ResponseWriter: w}
		defer func() {
			cut := s.recovered(seen, r, recover())
			if seen.status == 0 && !cut { // net/http writes the header
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

// span begins the request's trace, linked to the visitor's own.
func (s *Site) span(r *http.Request) (context.Context, trace.Span) {
	if s.Cfg.Traces == nil || slices.Contains(quiet, r.URL.Path) {
		return r.Context(), noop.Span{}
	}
	return s.Cfg.Traces.Tracer("rollcall/web").Start(r.Context(), "request", trace.WithSpanKind(trace.SpanKindServer),
		trace.WithLinks(jobs.Named(r.Header)...))
}

func endSpan(span trace.Span, r *http.Request, seen *recorder) {
	if span.IsRecording() {
		span.SetName(methodOf(r) + " " + routeOf(r))
		span.SetAttributes(
			attribute.String("http.request.method", methodOf(r)),
			attribute.String("http.route", routeOf(r)),
			attribute.Int("http.response.status_code", seen.status))
		if seen.status >= 500 {
			span.SetStatus(codes.Error, pg.Fault(LogOf(r.Context()).err))
		}
	}
	span.End()
}

// count counts a request and its duration.
func (s *Site) count(r *http.Request, seen *recorder, took time.Duration) {
	route, method := routeOf(r), methodOf(r)
	s.Metrics.Requests.WithLabelValues(route, method, strconv.Itoa(seen.status)).Inc()
	if route != LivePath {
		s.Metrics.took.WithLabelValues(route, method).Observe(took.Seconds())
	}
}

// routeOf is the pattern of the request's route: a bounded label, unlike the path.
func routeOf(r *http.Request) string {
	if r.Pattern == "" || r.Pattern == "/" {
		return "other"
	}
	return r.Pattern
}

// methodOf is the request's method if it is a usual one, else "other".
func methodOf(r *http.Request) string {
	if slices.Contains([]string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}, r.Method) {
		return r.Method
	}
	return "other"
}

// loggedPath is the path of a request, without the token of a mail: it opens what its recipient may
// change.
func loggedPath(r *http.Request) string {
	if strings.HasPrefix(r.URL.Path, "/mail/") {
		return routeOf(r)
	}
	return r.URL.Path
}

// log writes the request's line.
func (s *Site) log(r *http.Request, seen *recorder, took time.Duration) {
	told, level := LogOf(r.Context()), slog.LevelInfo
	if slices.Contains(quiet, r.URL.Path) {
		level = slog.LevelDebug
	}
	attrs := []slog.Attr{
		slog.String("method", Clip(r.Method)),
		slog.String("path", Clip(pg.WithoutAddresses(loggedPath(r)))),
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
