package jobs

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/hibiken/asynq"
)

// ParseRedis reads REDIS_URL: redis:// or rediss:// (one server),
// redis-sentinel://[user:password@]host,host/master-name[/db], or a
// comma-separated list of redis:// addresses (a cluster). asynq's own parser
// drops user names and reads a sentinel's password as the server's.
func ParseRedis(raw string) (asynq.RedisConnOpt, error) {
	opt, err := parseRedis(raw)
	if err != nil {
		return nil, fmt.Errorf("REDIS_URL: %w", err)
	}
	return opt, nil
}

func parseRedis(raw string) (asynq.RedisConnOpt, error) {
	if strings.HasPrefix(raw, "redis-sentinel://") {
		return parseSentinel(raw)
	}
	parts := strings.Split(raw, ",")
	if len(parts) > 1 {
		return parseCluster(parts)
	}
	s, err := parseServer(raw)
	if err != nil {
		return nil, err
	}
	return asynq.RedisClientOpt{Addr: s.addrs[0], Username: s.user, Password: s.password, DB: s.db, TLSConfig: s.tls}, nil
}

// server is what one Redis URL says.
type server struct {
	addrs          []string
	user, password string
	path           []string
	db             int
	tls            *tls.Config
}

func parseServer(raw string) (server, error) {
	// url.Parse quotes the whole URL in its errors, password included.
	u, err := url.Parse(raw)
	if err != nil {
		return server{}, errors.New("is not a URL")
	}
	s := server{user: u.User.Username(), path: strings.FieldsFunc(u.Path, func(r rune) bool { return r == '/' })}
	s.password, _ = u.User.Password()
	switch u.Scheme {
	case "rediss":
		s.tls = &tls.Config{ServerName: u.Hostname(), MinVersion: tls.VersionTLS12}
	case "redis", "redis-sentinel":
	default:
		return s, fmt.Errorf("scheme %q is not redis, rediss or redis-sentinel", u.Scheme)
	}
	if u.Host == "" {
		return s, errors.New("names no host")
	}
	for _, host := range strings.Split(u.Host, ",") {
		s.addrs = append(s.addrs, withPort(host, u.Scheme))
	}
	if n := len(s.path); n > 0 && u.Scheme != "redis-sentinel" || n > 1 {
		if s.db, err = strconv.Atoi(s.path[n-1]); err != nil || s.db < 0 {
			return s, fmt.Errorf("database %q is not a number", s.path[n-1])
		}
	}
	return s, nil
}

func withPort(host, scheme string) string {
	if strings.Contains(host[strings.LastIndexByte(host, ']')+1:], ":") {
		return host
	}
	if scheme == "redis-sentinel" {
		return host + ":26379"
	}
	return host + ":6379"
}

func parseSentinel(raw string) (asynq.RedisConnOpt, error) {
	s, err := parseServer(raw)
	if err != nil {
		return nil, err
	}
	if len(s.path) == 0 {
		return nil, errors.New("a sentinel URL must end in the master's name: redis-sentinel://host,host/mymaster")
	}
	return asynq.RedisFailoverClientOpt{MasterName: s.path[0], SentinelAddrs: s.addrs, Username: s.user, Password: s.password, DB: s.db}, nil
}

func parseCluster(parts []string) (asynq.RedisConnOpt, error) {
	var o asynq.RedisClusterClientOpt
	for _, p := range parts {
		s, err := parseServer(strings.TrimSpace(p))
		if err != nil {
			return nil, err
		}
		o.Addrs = append(o.Addrs, s.addrs...)
		o.Username, o.Password, o.TLSConfig = s.user, s.password, s.tls
	}
	return o, nil
}
