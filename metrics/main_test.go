package metrics

import (
	"testing"

	"rollcall/internal/embedded/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }
