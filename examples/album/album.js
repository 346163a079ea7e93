const shown = new Set();
function show({id, title, by}) {
    if (shown.has(id)) return;
    shown.add(id);
    const item = document.createElement('li'), image = new Image(200);
    image.src = `/pictures/${id}`;
    item.append(image, ` ${title}, by ${by}`);
    document.querySelector('ul').prepend(item);
}
const events = new EventSource('/events');
events.onmessage = event => show(JSON.parse(event.data));
events.onopen = async () => (await (await fetch('/pictures')).json()).forEach(show);
