package value

import (
	"testing"

	"rollcall/internal/testing/testdb"
)

func TestMain(m *testing.M) { testdb.Main(m) }
