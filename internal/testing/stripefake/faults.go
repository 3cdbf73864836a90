package stripefake

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// answer is what goes back.
type answer struct {
	status     int // 0: nothing, ever
	body       any
	ids        []string // on the page of a list
	retryAfter time.Duration
	cut        bool
}

// of names the fault of the nth request, or none.
func (f Faults) of(number int) string {
	for _, each := range []struct {
		every int
		name  string
	}{{f.LimitEvery, "limit"}, {f.HangEvery, "hang"}, {f.FailEvery, "fail"}, {f.CutEvery, "cut"}} {
		if each.every > 0 && number%each.every == 0 {
			return each.name
		}
	}
	return ""
}

// answer makes the answer of a fault; a body that is cut is of the right one.
func (f Faults) answer(fault string, right func() answer) answer {
	switch fault {
	case "limit":
		a := refusal(http.StatusTooManyRequests, "rate_limit", "", "Request rate limit exceeded.")
		a.retryAfter = f.RetryAfter
		return a
	case "hang":
		return answer{}
	case "fail":
		return refusal(http.StatusInternalServerError, "", "", "An unknown error occurred")
	}
	a := right()
	a.cut = true
	return a
}

// refusal is one of Stripe's errors.
func refusal(status int, code, param, message string) answer {
	e := map[string]any{"type": "invalid_request_error", "message": message}
	if status >= 500 {
		e["type"] = "api_error"
	}
	if code != "" {
		e["code"] = code
	}
	if param != "" {
		e["param"] = param
	}
	return answer{status: status, body: map[string]any{"error": e}}
}

// write sends an answer, or what a fault leaves of it.
func (s *Server) write(w http.ResponseWriter, r *http.Request, a answer) {
	if a.status == 0 {
		select {
		case <-r.Context().Done():
		case <-s.closing:
		}
		panic(http.ErrAbortHandler)
	}
	body, err := json.Marshal(a.body)
	if err != nil {
		s.t.Errorf("stripefake: %v", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	if a.retryAfter > 0 {
		w.Header().Set("Retry-After", strconv.Itoa(int(a.retryAfter/time.Second)))
	}
	w.WriteHeader(a.status)
	if a.cut {
		w.Write(body[:len(body)/2])
		if err := http.NewResponseController(w).Flush(); err != nil {
			s.t.Errorf("stripefake: %v", err)
		}
		panic(http.ErrAbortHandler)
	}
	w.Write(body)
}
