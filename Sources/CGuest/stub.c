int cguest_stub;
