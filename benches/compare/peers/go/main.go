// net/http of Go's standard library. Arguments: a port and a number of threads.
package main

import (
	"io"
	"log"
	"net/http"
	"os"
	"runtime"
	"strconv"
)

const page = "<h1>Welcome to my Server</h1>"

// Growing a buffer for a long body costs several times as much.
func read(request *http.Request) ([]byte, error) {
	if request.ContentLength < 0 {
		return io.ReadAll(request.Body)
	}
	body := make([]byte, request.ContentLength)
	_, err := io.ReadFull(request.Body, body)
	return body, err
}

func answer(response http.ResponseWriter, request *http.Request) {
	fields := response.Header()
	switch request.Method {
	case http.MethodGet:
		fields.Set("Content-Type", "text/html")
		io.WriteString(response, page)
	case http.MethodPost:
		body, err := read(request)
		if err != nil {
			response.WriteHeader(http.StatusBadRequest)
			return
		}
		fields.Set("Content-Type", request.Header.Get("Content-Type"))
		// Without it a long answer is sent in chunks.
		fields.Set("Content-Length", strconv.Itoa(len(body)))
		response.Write(body)
	default:
		response.WriteHeader(http.StatusMethodNotAllowed)
	}
}

func main() {
	if len(os.Args) != 3 {
		log.Fatal("the arguments are a port and a number of threads")
	}
	threads, err := strconv.Atoi(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	runtime.GOMAXPROCS(threads)
	http.HandleFunc("/", answer)
	log.Fatal(http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
}
