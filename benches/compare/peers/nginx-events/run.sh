#!/bin/sh
# Server-sent events by nginx with its module nchan, for benches/waiting.rs: PORT THREADS.
set -eu

modules=${NGINX_MODULES:-/usr/lib/nginx/modules}
folder=$(mktemp -d)
cat >"$folder/nginx.conf" <<CONFIGURATION
load_module $modules/ngx_nchan_module.so;
daemon off;
pid $folder/nginx.pid;
error_log $folder/error.log;
worker_processes $2;
worker_rlimit_nofile 30000;
events { worker_connections 15000; }
http {
    access_log off;
    client_body_temp_path $folder/body;
    proxy_temp_path $folder/proxy;
    fastcgi_temp_path $folder/fastcgi;
    uwsgi_temp_path $folder/uwsgi;
    scgi_temp_path $folder/scgi;
    keepalive_requests 1000000000;
    nchan_shared_memory_size 256M;
    server {
        listen 127.0.0.1:$1 backlog=4096;
        location / { return 200 "Hello, World!"; }
        location /events {
            nchan_subscriber eventsource;
            nchan_subscriber_first_message newest;
            nchan_channel_id \$args;
        }
        location /send {
            nchan_publisher;
            # As many as httpool keeps.
            nchan_message_buffer_length 1024;
            nchan_channel_id \$args;
        }
    }
}
CONFIGURATION

PATH=$PATH:/usr/sbin
nginx -e "$folder/error.log" -c "$folder/nginx.conf" &
nginx=$!
trap 'kill "$nginx"; wait "$nginx" || true; rm -rf "$folder"; exit' TERM
status=0
wait "$nginx" || status=$?
cat "$folder/error.log" >&2
rm -rf "$folder"
exit "$status"
